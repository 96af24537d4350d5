// The wallpaper: the sun sets over a lake between hills, drawn for any size.
#include "demo.h"

// Between two colours at `part` of `whole`.
static uint32_t between(uint32_t from, uint32_t to, int part, int whole) {
  return blend(from, to, within(part * 256 / most(whole, 1), 0, 256));
}

static uint32_t sky(int y, int horizon) {
  int place = y * 1024 / horizon;
  if (place < 420) return between(0x121A3E, 0x3B2F6B, place, 420);
  if (place < 760) return between(0x3B2F6B, 0xA8527F, place - 420, 340);
  return between(0xA8527F, 0xFBB26B, place - 760, 264);
}

// Smooth random heights: what is `size` wide is one wave.
static int swell(int x, int size, uint32_t layer) {
  int cell = x / size, part = (x % size) * 256 / size;
  int smooth = part * part * (768 - 2 * part) >> 16;
  int from = (int)(scatter((uint32_t)cell, layer) & 255);
  int to = (int)(scatter((uint32_t)cell + 1, layer) & 255);
  return from + ((to - from) * smooth >> 8);
}

// A ridge's height at `x`, 256ths of `reach`.
static int ridge(int x, int width, uint32_t layer) {
  int size = most(width * (int)(5 - layer) / 16, 8);
  return (swell(x, size, layer) * 4 + swell(x, most(size / 3, 4), layer + 8) * 2 +
          swell(x, most(size / 9, 2), layer + 16)) / 7;
}

static void draw_sky(struct surface on, int horizon) {
  int sun_x = on.width * 66 / 100, sun_y = horizon * 84 / 100, sun = on.width / 22;
  int reach = on.width * on.width / 40;
  for (int y = 0; y < horizon; y++) {
    uint32_t color = sky(y, horizon);
    for (int x = 0; x < on.width; x++) {
      int dx = x - sun_x, dy = y - sun_y, square = dx * dx + dy * dy;
      uint32_t lit = blend(color, 0xFFD08A, (int)((int64_t)200 * reach / (reach + 3 * square)));
      if (square < (sun + 2) * (sun + 2)) {
        int edge = (sun * sun - square) * 128 / sun / 2;
        lit = blend(lit, 0xFFF3D0, within(128 + edge, 0, 256));
      }
      on.pixels[y * on.width + x] = lit;
    }
  }
  // Stars, fewer and fainter towards the horizon.
  for (int index = 0; index < 260; index++) {
    uint32_t place = scatter((uint32_t)index, 77);
    int x = (int)(place % (uint32_t)on.width), y = (int)((place >> 12) % (uint32_t)(horizon / 2));
    int light = (int)(place >> 25) + 40 - y * 220 / horizon;
    if (light <= 0) continue;
    uint32_t *pixel = on.pixels + y * on.width + x;
    *pixel = blend(*pixel, 0xFFFFFF, least(light + 60, 230));
  }
}

static void draw_hills(struct surface on, int horizon, uint32_t layer) {
  int reach = horizon * (int)(7 - layer) / 18, base = horizon - horizon * (int)(3 - layer) / 40;
  uint32_t top = layer == 0 ? 0x7A4A80 : layer == 1 ? 0x4C3468 : 0x2A234D;
  uint32_t bottom = layer == 0 ? 0xC8727F : layer == 1 ? 0x7B4877 : 0x3A2C5A;
  for (int x = 0; x < on.width; x++) {
    // Lower before the sun, so that it is seen.
    int valley = on.width * 66 / 100 - x;
    int low = within((valley < 0 ? -valley : valley) * 256 / (on.width / 3), 70, 256);
    int height = ridge(x + (int)layer * 997, on.width, layer) * reach * low >> 8;
    int edge = (base << 8) - height; // 256ths of a pixel
    for (int y = most(edge >> 8, 0); y < horizon; y++) {
      uint32_t *pixel = on.pixels + y * on.width + x;
      uint32_t color = between(top, bottom, (y << 8) - edge, (horizon << 8) - edge);
      *pixel = y == edge >> 8 ? blend(*pixel, color, 256 - (edge & 255)) : color;
    }
  }
}

// The lake shows what is above it, darker, in waves that grow towards the front.
static void draw_lake(struct surface on, int horizon) {
  int depth = on.height - horizon;
  for (int y = horizon; y < on.height; y++) {
    int below = y - horizon;
    int wave = 1 + below * 14 / depth;
    int source = within(horizon - 2 - below * 5 / 4 - (sine(below * below * 3 + below * 90) * wave >> 13), 0,
                        horizon - 1);
    for (int x = 0; x < on.width; x++) {
      int shift = sine(x * 3 + below * below * 2 + below * 130) * wave >> 11;
      uint32_t color = on.pixels[source * on.width + within(x + shift, 0, on.width - 1)];
      color = blend(color, 0x1A1F45, 96 + below * 110 / depth);
      // Glitter below the sun.
      int away = x - on.width * 66 / 100, spread = on.width / 60 + below * 2 / 3;
      if (away > -spread && away < spread) {
        int gleam = sine(below * 200 + x * 5 + sine(x * 9 + below * 40) / 12) - 1500;
        if (gleam > 0) {
          int fade = (spread - (away < 0 ? -away : away)) * 256 / spread;
          color = blend(color, 0xFFD9A0, (gleam * fade >> 12) * (256 - below * 200 / depth) >> 8);
        }
      }
      on.pixels[y * on.width + x] = color;
    }
  }
}

// A fir: branches in tiers, wider towards the ground.
static void draw_fir(struct surface on, int x, int ground, int height) {
  for (int row = 0; row < height; row++) {
    int tier = most(height / 6, 3), part = row % tier;
    int half = (row - row % tier + part * 3) * 4 + 8; // 16ths of a pixel
    int y = ground - height + row;
    if (y < 0) continue;
    for (int column = -half / 16 - 1; column <= half / 16 + 1; column++) {
      int place = x + column, away = (column < 0 ? -column : column) * 16;
      if (place < 0 || place >= on.width) continue;
      uint32_t *pixel = on.pixels + y * on.width + place;
      *pixel = blend(*pixel, 0x12153A, within((half - away) * 16, 0, 256));
    }
  }
}

// The near shore with firs, in front of all.
static void draw_shore(struct surface on) {
  for (uint32_t fir = 0; fir < 34; fir++) {
    int place = (int)(scatter(fir, 50) % 1000), is_left = fir & 1;
    int x = is_left ? on.width * place * place / 3600000 : on.width - on.width * place * place / 6000000;
    int height = on.height * (int)(6 + scatter(fir, 51) % 12) / 100;
    draw_fir(on, x, on.height, height * (1300 - place) / 1000);
  }
  for (int x = 0; x < on.width; x++) {
    int height = on.height / 60 + swell(x + 300, on.width / 5, 40) * on.height / 9000;
    for (int y = on.height - height; y < on.height; y++)
      on.pixels[y * on.width + x] = between(0x12153A, 0x0B0E24, y - on.height + height, height);
  }
}

void paint_wallpaper(struct surface on) {
  int horizon = on.height * 68 / 100;
  draw_sky(on, horizon);
  for (uint32_t layer = 0; layer < 3; layer++) draw_hills(on, horizon, layer);
  draw_lake(on, horizon);
  draw_shore(on);
}
