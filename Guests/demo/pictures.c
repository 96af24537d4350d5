// Programs of pictures: the canvas, the clock, and the sea behind a porthole.
#include "demo.h"

// ---- The canvas ----

enum { CANVAS_WIDTH = 352, CANVAS_HEIGHT = 226, PALETTE = 44, GLASS = 236 };

static void draw_palette(void) {
  struct window *in = S.paint;
  fill(in->body, box(0, 0, PALETTE, in->body.height), 0xE9E4D6);
  for (int index = 0; index < 6; index++) {
    int y = (24 + index * 30) * 16;
    if (index == S.color) disc(in->body, PALETTE * 8, y, 208, 0xFFFFFF);
    disc(in->body, PALETTE * 8, y, 152, paint_colors[index]);
  }
  disc(in->body, PALETTE * 8, (CANVAS_HEIGHT - 22) * 16, S.brush, paint_colors[S.color]);
  touch(in, box(0, 0, PALETTE, in->body.height));
}

static void paint_line(int x0, int y0, int x1, int y1, int radius, uint32_t color) {
  struct surface canvas = S.paint->body;
  stroke(canvas, x0, y0, x1, y1, radius, color);
  int reach = radius / 16 + 2;
  struct box area = box(least(x0, x1) / 16 - reach, least(y0, y1) / 16 - reach, 0, 0);
  area.right = most(x0, x1) / 16 + reach, area.bottom = most(y0, y1) / 16 + reach;
  touch(S.paint, area);
}

static void paint_point(struct window *in, int x, int y, int buttons, int wheel) {
  if (wheel) {
    S.brush = within(S.brush - wheel * 12, 16, 220);
    draw_palette();
  }
  if (S.pressed == in && !S.is_drawing && x < PALETTE && y >= 0) {
    S.color = within((y - 9) / 30, 0, 5);
    draw_palette();
    S.pressed = NULL;
    return;
  }
  int is_on = (S.pressed == in && buttons & LEFT_BUTTON) || buttons & RIGHT_BUTTON;
  if (is_on) {
    int least_x = PALETTE + S.brush / 16 + 1;
    int at_x = most(x, least_x) * 16 + 8, at_y = y * 16 + 8;
    if (!S.is_drawing) S.last_x = at_x, S.last_y = at_y;
    paint_line(S.last_x, S.last_y, at_x, at_y, S.brush,
               buttons & RIGHT_BUTTON ? in->back : paint_colors[S.color]);
    S.last_x = at_x, S.last_y = at_y;
  }
  S.is_drawing = is_on;
}

void open_paint(int x, int y) {
  S.paint = open_window(x, y, CANVAS_WIDTH, CANVAS_HEIGHT, T("Canvas"), COLOR_VIOLET);
  S.paint->back = 0xFFFDF7;
  fill(S.paint->body, box(0, 0, CANVAS_WIDTH, CANVAS_HEIGHT), S.paint->back);
  S.brush = 64, S.color = 4, S.is_drawing = 0;
  S.paint->point = paint_point;
  // Somebody has begun: waves, a sun, a signature.
  for (int line = 0; line < 3; line++) {
    int from_x = 0, from_y = 0;
    for (int step = 0; step <= 64; step++) {
      int at_x = (70 + step * 4) * 16;
      int at_y = (150 + line * 18) * 16 + sine(step * 48 + line * 260) * (9 - line * 2) / 256;
      if (step) paint_line(from_x, from_y, at_x, at_y, 44, paint_colors[line == 1 ? 5 : 4]);
      from_x = at_x, from_y = at_y;
    }
  }
  disc(S.paint->body, 268 * 16, 62 * 16, 26 * 16, paint_colors[2]);
  for (int ray = 0; ray < 12; ray++) {
    int angle = ray * 1024 / 12, dx = sine(angle + 256), dy = sine(angle);
    paint_line(268 * 16 + dx * 34 / 256, 62 * 16 + dy * 34 / 256, 268 * 16 + dx * 44 / 256,
               62 * 16 + dy * 44 / 256, 36, paint_colors[2]);
  }
  paint_line(112 * 16, 118 * 16, 176 * 16, 118 * 16, 56, paint_colors[1]);
  paint_line(126 * 16, 128 * 16, 162 * 16, 128 * 16, 56, paint_colors[1]);
  paint_line(142 * 16, 112 * 16, 142 * 16, 52 * 16, 32, paint_colors[0]);
  paint_line(148 * 16, 56 * 16, 178 * 16, 104 * 16, 32, paint_colors[0]);
  paint_line(178 * 16, 104 * 16, 149 * 16, 104 * 16, 32, paint_colors[0]);
  draw_palette();
}

// ---- The clock ----

static void hand(int angle, int length, int radius, uint32_t color) {
  int x = 90 * 16, y = 88 * 16;
  stroke(S.clock->body, x, y, x + sine(angle) * length / 256, y - sine(angle + 256) * length / 256,
         radius, color);
}

void clock_second(void) {
  if (!S.clock) return;
  struct window *in = S.clock;
  struct date now = S.date;
  fill(in->body, box(0, 0, in->body.width, in->body.height), in->back);
  disc(in->body, 90 * 16, 88 * 16, 74 * 16, COLOR_CARD);
  for (int mark = 0; mark < 12; mark++) {
    int dx = sine(mark * 1024 / 12), dy = -sine(mark * 1024 / 12 + 256), from = mark % 3 ? 64 : 60;
    stroke(in->body, 90 * 16 + dx * from / 256, 88 * 16 + dy * from / 256, 90 * 16 + dx * 67 / 256,
           88 * 16 + dy * 67 / 256, mark % 3 ? 16 : 26, mark % 3 ? COLOR_FAINT : COLOR_TEXT);
  }
  hand((now.hour % 12 * 60 + now.minute) * 1024 / 720, 38, 48, COLOR_TEXT);
  hand((now.minute * 60 + now.second) * 1024 / 3600, 56, 36, COLOR_TEXT);
  hand(now.second * 1024 / 60, 60, 16, COLOR_TEAL);
  disc(in->body, 90 * 16, 88 * 16, 72, COLOR_TEAL);
  char words[12], *end = decimal(words, (uint32_t)now.hour, 2);
  end = decimal(append(end, T(":")), (uint32_t)now.minute, 2);
  decimal(append(end, T(":")), (uint32_t)now.second, 2);
  text(in->body, FONT_LARGE, 90 - text_width(FONT_LARGE, words) / 2, 168, COLOR_TEXT, words);
  touch(in, box(0, 0, in->body.width, in->body.height));
}

void open_clock(int x, int y) {
  S.clock = open_window(x, y, 180, 212, T("Clock"), COLOR_TEAL);
  clock_second();
}

// ---- The porthole ----

enum { MIDDLE = GLASS / 2 };

// The ring of brass and its bolts, and how much of each pixel it covers.
static void draw_ring(void) {
  struct surface on = S.porthole->body;
  disc(on, MIDDLE * 16, MIDDLE * 16 + 40, 112 * 16, 0x0F1320);
  for (int y = 0; y < GLASS; y++)
    for (int x = 0; x < GLASS; x++) {
      int dx = 2 * (x - MIDDLE) + 1, dy = 2 * (y - MIDDLE) + 1;
      int distance = square_root((dx * dx + dy * dy) * 64); // 16ths of a pixel
      S.glass[y * GLASS + x] = (uint8_t)within((distance - 94 * 16) * 16 + 128, 0, 255);
      int cover = within((111 * 16 - distance) * 16 + 128, 0, 256);
      if (!cover || distance < 92 * 16) continue;
      // Light from above: the crest of the ring is nearer to the upper edge.
      int step = within((111 * 16 - distance - dy / 8) / 12, 0, 25);
      uint32_t brass = blend(0x8A5A2B, 0xF3CE8C, step < 12 ? step * 20 : most(24 - step, 0) * 20);
      uint32_t *pixel = on.pixels + y * on.width + x;
      *pixel = blend(*pixel, brass, cover);
    }
  for (int bolt = 0; bolt < 8; bolt++) {
    int x = MIDDLE * 16 + sine(bolt * 128 + 64) * 103 / 256;
    int y = MIDDLE * 16 + sine(bolt * 128 + 320) * 103 / 256;
    disc(on, x, y + 10, 72, 0x6B4420);
    disc(on, x, y, 66, 0xE9BE78);
    disc(on, x - 12, y - 14, 28, 0xFFE9BF);
  }
}

// What does not change from picture to picture: the sky with its sun, and the colours of the sea.
static void make_view(void) {
  for (int y = 0; y < GLASS; y++)
    for (int x = 0; x < GLASS; x++) {
      int dx = x - 160, dy = y - 74, square = dx * dx + dy * dy;
      uint32_t color = blend(0x6FC3E8, 0xFDE7C3, within((y - 20) * 2, 0, 256));
      color = blend(color, 0xFFF4CF, 256 * 500 / (500 + square));
      if (square < 18 * 18) color = blend(color, 0xFFFBE6, within((18 * 18 - square) * 8, 0, 256));
      S.sky[y * GLASS + x] = color;
    }
  for (int layer = 0; layer < 3; layer++)
    for (int depth = 0; depth < 128; depth++) {
      uint32_t water = layer == 0 ? 0x4FA3C9 : layer == 1 ? 0x2F7FB0 : 0x1E5C8E;
      S.water[layer * 128 + depth] = blend(water, 0x123C66, within(depth * 16 / 6, 0, 200));
    }
}

// The sea's height at column `x`, in 16ths of a pixel; three layers, the nearest the last.
static int sea_level(int x, int layer, int time) {
  int slow = sine(x * (5 - layer) + time * (2 + layer)), fast = sine(x * 9 - time * (3 + layer));
  return (124 + layer * 22) * 16 + (slow * (3 + layer) + fast * (1 + layer / 2)) / 256;
}

// One column of the view: from the sky down, each layer up to where the next one begins.
static void draw_column(int x, int time) {
  struct surface on = S.porthole->body;
  int top = 24;
  while (top < MIDDLE && S.glass[top * GLASS + x] == 255) top++;
  int bottom = GLASS - top;
  uint32_t *pixel = on.pixels + x;
  const uint32_t *sky = S.sky + x;
  int level[4];
  for (int layer = 0; layer < 3; layer++) level[layer] = sea_level(x, layer, time);
  level[3] = GLASS * 16;
  int y = top;
  for (; y < bottom && y * 16 < level[0] - 8; y++) pixel[y * on.width] = sky[y * GLASS];
  for (int layer = 0; layer < 3; layer++) {
    const uint32_t *water = S.water + layer * 128;
    // The crest is foam, and mixes with what is behind it.
    int edge = level[layer] - 8;
    for (int row = most(edge >> 4, top); row < bottom && row * 16 < level[layer] + 40; row++) {
      int below = row * 16 - level[layer];
      uint32_t behind = layer == 0 ? sky[row * GLASS]
                                   : S.water[(layer - 1) * 128 + within((row * 16 - level[layer - 1]) >> 4, 0, 127)];
      uint32_t foam = blend(water[0], 0xDDF3FA, within(150 - below * 4, 0, 256));
      pixel[row * on.width] = blend(behind, foam, within((below + 8) * 16, 0, 256));
      y = row + 1;
    }
    for (; y < bottom && y * 16 < level[layer + 1] - 8; y++)
      pixel[y * on.width] = water[within((y * 16 - level[layer]) >> 4, 0, 127)];
  }
}

// The brass over what was drawn at the edge of the glass.
static void draw_edge(void) {
  struct surface on = S.porthole->body;
  for (int y = 20; y < GLASS - 20; y++)
    for (int x = 20; x < GLASS - 20; x++) {
      int cover = S.glass[y * GLASS + x];
      if (cover == 0) {
        // Nothing but glass up to where it ends on the other side.
        x = most(x, GLASS - 2 - x);
      } else if (cover < 255) {
        uint32_t *pixel = on.pixels + y * on.width + x;
        *pixel = blend(*pixel, 0x5E3C1C, cover);
      }
    }
}

void porthole_frame(void) {
  if (!S.porthole) return;
  int time = S.wave++;
  for (int x = 20; x < GLASS - 20; x++) draw_column(x, time);
  // The boat rides on the middle waves.
  int x = 84, y = sea_level(x, 1, time) - 130;
  struct surface view = S.porthole->body;
  polygon(view, boat_sail, 3, x * 16, y, 0xFFFDF5);
  polygon(view, boat_jib, 3, x * 16, y, 0xF6D9B8);
  polygon(view, boat_hull, 4, x * 16, y, 0xB5483F);
  for (int column = x - 24; column < x + 26; column++) {
    // The nearest waves are before it.
    int level = sea_level(column, 2, time) >> 4;
    for (int row = level; row < level + 16; row++) {
      uint32_t *pixel = view.pixels + row * view.width + column;
      *pixel = blend(*pixel, 0x1E5C8E, within((row - level) * 40, 0, 256));
    }
  }
  draw_edge();
  touch(S.porthole, box(20, 20, GLASS - 40, GLASS - 40));
}

void porthole_rate(uint32_t frames) {
  if (!S.porthole) return;
  char words[40];
  append(decimal(words, frames, 1), T(" pictures a second"));
  struct box area = box(0, GLASS, GLASS, 30);
  fill(S.porthole->body, area, S.porthole->back);
  text(S.porthole->body, FONT_PLAIN, MIDDLE - text_width(FONT_PLAIN, words) / 2, GLASS + 2,
       COLOR_FAINT, words);
  touch(S.porthole, area);
}

void open_porthole(int x, int y) {
  S.porthole = open_window(x, y, GLASS, GLASS + 30, T("Porthole"), COLOR_AMBER);
  S.glass = (uint8_t *)new_pixels(GLASS * GLASS / 4);
  S.sky = new_pixels(GLASS * GLASS);
  draw_ring();
  make_view();
  porthole_frame();
}
