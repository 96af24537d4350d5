// Windows, the pointer, and how they come to the screen: what is damaged is put together in memory,
// from the wallpaper up, and then copied, so that nobody sees a half-drawn picture.
#include "demo.h"

enum { SHADOW = 26, SHADOW_DROP = 8, POINTER_SIZE = 32 };

// ---- Damage ----

static int area_of(struct box a) { return (a.right - a.left) * (a.bottom - a.top); }

void damage(struct box area) {
  area = common(area, S.screen);
  if (is_empty(area)) return;
  // Joined with another where that costs little.
  for (int index = 0; index < S.damages; index++) {
    struct box both = around(area, S.damage[index]);
    if (area_of(both) > area_of(area) + area_of(S.damage[index]) + 4096) continue;
    S.damage[index] = S.damage[--S.damages];
    return damage(both);
  }
  if (S.damages < MOST_DAMAGE) {
    S.damage[S.damages++] = area;
  } else {
    S.damage[0] = around(S.damage[0], area);
  }
}

// ---- Windows ----

struct box outside(const struct window *of) {
  return box(of->x, of->y, of->all.width, of->all.height);
}

static struct box with_shadow(const struct window *of) {
  struct box area = outside(of);
  area.left -= SHADOW, area.right += SHADOW;
  area.top -= SHADOW - SHADOW_DROP, area.bottom += SHADOW + SHADOW_DROP;
  return area;
}

static struct window *front(void) { return S.windows ? S.order[S.windows - 1] : NULL; }

static void draw_title(struct window *of) {
  int is_front = of == front();
  fill(of->all, box(0, 0, of->all.width, TITLE), is_front ? COLOR_BAR : COLOR_BAR_IDLE);
  fill(of->all, box(0, 0, of->all.width, 1), is_front ? 0x4A5580 : 0x363F5C);
  disc(of->all, 18 * 16, TITLE * 8, 80, is_front ? of->accent : 0x5A6482);
  text(of->all, FONT_BOLD, 32, 9, is_front ? COLOR_TEXT : COLOR_FAINT, of->title);
  damage(moved(box(0, 0, of->all.width, TITLE), of->x, of->y));
}

// A window at x, y, or beside that where the screen would end before the window.
struct window *open_window(int x, int y, int width, int height, const char *title, uint32_t accent) {
  enum { EDGE = 8 };
  x = most(least(x, S.screen.right - width - EDGE), EDGE);
  y = most(least(y, S.screen.bottom - height - TITLE - EDGE), TOP_BAR + EDGE);
  struct window *made = &S.window[S.windows];
  made->all = new_surface(width, height + TITLE);
  made->body.pixels = made->all.pixels + TITLE * width;
  made->body.width = width, made->body.height = height;
  made->x = x, made->y = y, made->title = title, made->accent = accent, made->back = COLOR_BACK;
  made->key = NULL, made->point = NULL;
  fill(made->body, box(0, 0, width, height), made->back);
  struct window *before = front();
  S.order[S.windows++] = made;
  if (before) draw_title(before);
  draw_title(made);
  damage(with_shadow(made));
  return made;
}

void touch(struct window *of, struct box area) {
  area = common(area, box(0, 0, of->body.width, of->body.height));
  if (!is_empty(area)) damage(moved(area, of->x, of->y + TITLE));
}

void raise_window(struct window *of) {
  struct window *before = front();
  if (before == of) return;
  int index = 0;
  while (index < S.windows - 1 && S.order[index] != of) index++;
  for (; index < S.windows - 1; index++) S.order[index] = S.order[index + 1];
  S.order[S.windows - 1] = of;
  draw_title(before);
  draw_title(of);
  damage(with_shadow(of));
}

void move_window(struct window *of, int x, int y) {
  damage(with_shadow(of));
  of->x = x, of->y = y;
  damage(with_shadow(of));
}

// ---- Putting the picture together ----

// Darkens the wallpaper below and around a window.
static void draw_shadow(const struct window *of, struct box part) {
  struct box window = outside(of), inner = window;
  // The distance counts from a rectangle inside, so that the corners are round.
  inner.left += SHADOW - 8, inner.right -= SHADOW - 8;
  inner.top += SHADOW - 8 + SHADOW_DROP, inner.bottom -= SHADOW - 8 - SHADOW_DROP;
  struct box area = common(part, with_shadow(of));
  for (int y = area.top; y < area.bottom; y++) {
    int dy = within(most(inner.top - y, y - inner.bottom + 1), 0, 47);
    int beside = y < window.top + CORNER || y >= window.bottom - CORNER ? CORNER : 0;
    int is_beyond = y < window.top || y >= window.bottom;
    uint32_t *row = S.picture.pixels + y * S.picture.width;
    for (int x = area.left; x < area.right; x++) {
      if (!is_beyond && x == window.left + beside && window.right - beside > x) {
        x = window.right - beside;
        if (x >= area.right) break;
      } else if (!is_beyond && x > window.left + beside && x < window.right - beside) {
        x = window.right - beside;
        if (x >= area.right) break;
      }
      int dx = within(most(inner.left - x, x - inner.right + 1), 0, 47);
      int alpha = S.shadow[dy * 48 + dx];
      if (alpha) row[x] = blend(row[x], 0x05060F, alpha);
    }
  }
}

// A window's pixels; those of its corners only as far as they belong to it.
static void draw_window(const struct window *of, struct box part) {
  struct box window = outside(of), area = common(part, window);
  for (int y = area.top; y < area.bottom; y++) {
    const uint32_t *from = of->all.pixels + (y - window.top) * of->all.width - window.left;
    uint32_t *to = S.picture.pixels + y * S.picture.width;
    int depth = most(CORNER - 1 - (y - window.top), CORNER - (window.bottom - y));
    int left = area.left, right = area.right;
    if (depth >= 0) {
      for (; left < right && left < window.left + CORNER; left++)
        to[left] = blend(from[left], to[left],
                         S.corner[depth * CORNER + CORNER - 1 - (left - window.left)]);
      for (; right > left && right > window.right - CORNER; right--)
        to[right - 1] = blend(from[right - 1], to[right - 1],
                              S.corner[depth * CORNER + CORNER - (window.right - right) - 1]);
    }
    copy_pixels(to + left, from + left, right - left);
  }
}

static struct box pointer_box(void) {
  return box(S.pointer_x, S.pointer_y, POINTER_SIZE, POINTER_SIZE);
}

static void draw_pointer(struct box part) {
  struct box area = common(part, pointer_box());
  for (int y = area.top; y < area.bottom; y++)
    for (int x = area.left; x < area.right; x++) {
      uint32_t over = S.pointer[(y - S.pointer_y) * POINTER_SIZE + x - S.pointer_x];
      uint32_t *pixel = S.picture.pixels + y * S.picture.width + x;
      if (over >> 24) *pixel = blend(*pixel, over & 0xFFFFFF, (int)(over >> 24) + (int)(over >> 31));
    }
}

static int covers(const struct window *of, struct box part) {
  struct box window = outside(of);
  return part.left >= window.left && part.right <= window.right &&
         part.top >= window.top + CORNER && part.bottom <= window.bottom - CORNER;
}

static void compose(struct box part) {
  int lowest = S.windows - 1;
  while (lowest >= 0 && !covers(S.order[lowest], part)) lowest--;
  if (lowest < 0)
    for (int y = part.top; y < part.bottom; y++) {
      int start = y * S.picture.width + part.left;
      copy_pixels(S.picture.pixels + start, S.wallpaper.pixels + start, part.right - part.left);
    }
  for (int index = most(lowest, 0); index < S.windows; index++) {
    if (index > lowest) draw_shadow(S.order[index], part);
    draw_window(S.order[index], part);
  }
  for (int y = part.top; y < part.bottom && y < TOP_BAR; y++) {
    int start = y * S.picture.width + part.left;
    copy_pixels(S.picture.pixels + start, S.bar.pixels + start, part.right - part.left);
  }
  draw_pointer(part);
}

void present(void) {
  for (int index = 0; index < S.damages; index++) compose(S.damage[index]);
  for (int index = 0; index < S.damages; index++) {
    struct box part = S.damage[index];
    for (int y = part.top; y < part.bottom; y++)
      copy_pixels(S.frame_buffer.pixels + y * S.pitch + part.left,
                  S.picture.pixels + y * S.picture.width + part.left, part.right - part.left);
  }
  if (S.damages) S.frames++;
  S.damages = 0;
}

void draw_top_bar(const char *right) {
  struct surface bar = S.bar;
  for (int index = 0; index < bar.width * TOP_BAR; index++)
    bar.pixels[index] = blend(S.wallpaper.pixels[index], 0x0B0E1F, 170);
  disc(bar, 20 * 16, TOP_BAR * 8, 128, COLOR_AMBER);
  disc(bar, 20 * 16, TOP_BAR * 8, 80, 0x17203C);
  int at = text(bar, FONT_BOLD, 36, 8, COLOR_TEXT, T("Porthole")) + 26;
  for (int scene = 0; scene < SCENES; scene++) {
    const char *name = scene == SCENE_DESKTOP ? T("Desktop")
                       : scene == SCENE_STILL ? T("Still")
                       : scene == SCENE_DRAG  ? T("Drag")
                       : scene == SCENE_SCROLL ? T("Scroll") : T("Noise");
    char number[4];
    number[0] = 'F', number[1] = (char)('1' + scene), number[2] = 0;
    at = text(bar, FONT_PLAIN, at, 8, COLOR_FAINT, number) + 5;
    at = text(bar, FONT_PLAIN, at, 8, scene == S.scene ? COLOR_AMBER : COLOR_TEXT, name) + 16;
  }
  text(bar, FONT_PLAIN, bar.width - 16 - text_width(FONT_PLAIN, right), 8, COLOR_TEXT, right);
  damage(box(0, 0, bar.width, TOP_BAR));
}

// ---- The pointer ----

// The arrow's colour and cover, and a soft shadow below it; tables for corners and shadows.
void make_pointer(void) {
  struct surface on;
  uint32_t *black = new_pixels(POINTER_SIZE * POINTER_SIZE), *white = new_pixels(POINTER_SIZE * POINTER_SIZE);
  on.width = POINTER_SIZE, on.height = POINTER_SIZE;
  // Drawn twice, over black and over white: what differs is what shows through.
  for (int pass = 0; pass < 2; pass++) {
    on.pixels = pass ? white : black;
    fill_pixels(on.pixels, pass ? 0xFFFFFF : 0, POINTER_SIZE * POINTER_SIZE);
    for (int soft = 0; soft < 4; soft++) {
      struct surface lower = on;
      uint32_t *scratch = S.pointer;
      lower.pixels = scratch;
      copy_pixels(scratch, on.pixels, POINTER_SIZE * POINTER_SIZE);
      polygon(lower, pointer_outline, 7, 14 + (soft & 1) * 18, 22 + (soft >> 1) * 18, 0x000000);
      for (int index = 0; index < POINTER_SIZE * POINTER_SIZE; index++)
        on.pixels[index] = blend(on.pixels[index], scratch[index], 26);
    }
    polygon(on, pointer_outline, 7, 0, 0, 0x101322);
    polygon(on, pointer_filling, 7, 0, 0, 0xFFFFFF);
  }
  for (int index = 0; index < POINTER_SIZE * POINTER_SIZE; index++) {
    int dark = (int)(black[index] >> 8 & 255), light = (int)(white[index] >> 8 & 255);
    int cover = within(255 - (light - dark), 0, 255);
    uint32_t shade = cover ? (uint32_t)within(dark * 255 / cover, 0, 255) : 0;
    S.pointer[index] = (uint32_t)cover << 24 | shade * 0x010101;
  }
  for (int y = 0; y < CORNER; y++)
    for (int x = 0; x < CORNER; x++) {
      int distance = square_root(((2 * x + 1) * (2 * x + 1) + (2 * y + 1) * (2 * y + 1)) * 64);
      S.corner[y * CORNER + x] = (uint8_t)within((distance - CORNER * 16) * 16 + 128, 0, 255);
    }
  for (int y = 0; y < 48; y++)
    for (int x = 0; x < 48; x++) {
      int near = within(SHADOW * 2 - 8 - square_root(x * x + y * y), 0, SHADOW * 2 - 8);
      S.shadow[y * 48 + x] = (uint8_t)(near * near * 130 / ((SHADOW * 2 - 8) * (SHADOW * 2 - 8)));
    }
}

static struct window *window_at(int x, int y) {
  for (int index = S.windows; index-- > 0;)
    if (has(outside(S.order[index]), x, y)) return S.order[index];
  return NULL;
}

// Gives the window that the pointer is in, or was pressed in, what happens to it.
static void tell_window(int buttons, int wheel) {
  struct window *of = S.pressed ? S.pressed : window_at(S.pointer_x, S.pointer_y);
  if (of && of->point)
    of->point(of, S.pointer_x - of->x, S.pointer_y - of->y - TITLE, buttons, wheel);
}

void pointer_moved(int x, int y, int buttons, int wheel) {
  x = within(x, 0, S.screen.right - 1), y = within(y, 0, S.screen.bottom - 1);
  if (x != S.pointer_x || y != S.pointer_y) {
    damage(pointer_box());
    S.pointer_x = x, S.pointer_y = y;
    damage(pointer_box());
  }
  int pressed = buttons & ~S.buttons;
  S.buttons = buttons;
  if (pressed & LEFT_BUTTON) {
    struct window *of = window_at(x, y);
    if (of && y >= TOP_BAR) {
      raise_window(of);
      if (y < of->y + TITLE) {
        S.dragged = of, S.drag_x = x - of->x, S.drag_y = y - of->y;
      } else {
        S.pressed = of;
      }
    }
  }
  if (S.dragged) {
    move_window(S.dragged, x - S.drag_x, most(y - S.drag_y, TOP_BAR));
  } else {
    tell_window(buttons, wheel);
  }
  if (!(buttons & LEFT_BUTTON)) S.dragged = NULL, S.pressed = NULL;
  tester_pointer(x, y, buttons, wheel);
}
