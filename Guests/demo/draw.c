// Drawing: boxes, smooth shapes, letters.
#include "demo.h"

// ---- Numbers ----

int square_root(int value) {
  uint32_t rest = value > 0 ? (uint32_t)value : 0, root = 0;
  for (uint32_t bit = 1u << 30; bit; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return (int)root;
}

// Bhaskara's approximation, within 7 of 4,096.
int sine(int angle) {
  int half = angle & 511;
  int product = half * (512 - half);
  int value = product * 16384 / (327680 - product);
  return angle & 512 ? -value : value;
}

// xorshift64*, by G. Marsaglia and S. Vigna.
uint32_t random_word(void) {
  uint64_t x = S.random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  S.random = x;
  return (uint32_t)((x * 0x2545F4914F6CDD1D) >> 32);
}

uint32_t scatter(uint32_t x, uint32_t y) {
  uint32_t value = x * 0x9E3779B1 ^ y * 0x85EBCA77;
  value ^= value >> 15, value *= 0x2C1B3C6D;
  value ^= value >> 12, value *= 0x297A2D39;
  return value ^ value >> 15;
}

// ---- Surfaces ----

uint32_t *new_pixels(int count) {
  uint32_t *made = S.next_pixels;
  S.next_pixels += (count + 15) & ~15;
  return made;
}

struct surface new_surface(int width, int height) {
  struct surface made;
  made.pixels = new_pixels(width * height), made.width = width, made.height = height;
  return made;
}

static inline struct box bounds(struct surface of) { return box(0, 0, of.width, of.height); }

void fill(struct surface on, struct box area, uint32_t color) {
  area = common(area, bounds(on));
  for (int y = area.top; y < area.bottom; y++)
    fill_pixels(on.pixels + y * on.width + area.left, color, area.right - area.left);
}

static inline void mix(struct surface on, int x, int y, uint32_t color, int alpha) {
  if (alpha <= 0 || !has(bounds(on), x, y)) return;
  uint32_t *pixel = on.pixels + y * on.width + x;
  *pixel = alpha >= 256 ? color : blend(*pixel, color, alpha);
}

// ---- Shapes ----

void disc(struct surface on, int x, int y, int radius, uint32_t color) {
  stroke(on, x, y, x, y, radius, color);
}

void stroke(struct surface on, int x0, int y0, int x1, int y1, int radius, uint32_t color) {
  struct box area = box(
      (least(x0, x1) - radius) / 16 - 1, (least(y0, y1) - radius) / 16 - 1, 0, 0);
  area.right = (most(x0, x1) + radius) / 16 + 2, area.bottom = (most(y0, y1) + radius) / 16 + 2;
  area = common(area, bounds(on));
  int64_t along_x = x1 - x0, along_y = y1 - y0, length = along_x * along_x + along_y * along_y;
  for (int y = area.top; y < area.bottom; y++)
    for (int x = area.left; x < area.right; x++) {
      // The pixel's distance from the nearest place of the line.
      int64_t dx = x * 16 + 8 - x0, dy = y * 16 + 8 - y0;
      int64_t part = dx * along_x + dy * along_y;
      if (part >= length) {
        dx -= along_x, dy -= along_y;
      } else if (part > 0) {
        dx -= along_x * part / length, dy -= along_y * part / length;
      }
      int64_t square = dx * dx + dy * dy;
      if (square > (int64_t)(radius + 8) * (radius + 8)) continue;
      if (radius > 16 && square < (int64_t)(radius - 16) * (radius - 16)) {
        on.pixels[y * on.width + x] = color;
        continue;
      }
      int distance = square_root((int)(square * 16)) / 4;
      mix(on, x, y, color, within((radius - distance) * 16 + 128, 0, 256));
    }
}

void rounded(struct surface on, struct box area, int radius, uint32_t color) {
  fill(on, box(area.left, area.top + radius, area.right - area.left,
               area.bottom - area.top - 2 * radius), color);
  for (int row = 0; row < radius; row++) {
    fill(on, box(area.left + radius, area.top + row, area.right - area.left - 2 * radius, 1), color);
    fill(on, box(area.left + radius, area.bottom - 1 - row,
                 area.right - area.left - 2 * radius, 1), color);
    for (int column = 0; column < radius; column++) {
      int dx = 2 * (radius - column) - 1, dy = 2 * (radius - row) - 1;
      int distance = square_root((dx * dx + dy * dy) * 64);
      int alpha = within((radius * 16 - distance) * 16 + 128, 0, 256);
      mix(on, area.left + column, area.top + row, color, alpha);
      mix(on, area.right - 1 - column, area.top + row, color, alpha);
      mix(on, area.left + column, area.bottom - 1 - row, color, alpha);
      mix(on, area.right - 1 - column, area.bottom - 1 - row, color, alpha);
    }
  }
}

// Whether a point is inside, by how many edges a ray to the left meets.
static int is_inside(const int16_t *corners, int count, int x, int y) {
  int inside = 0;
  for (int index = 0; index < count; index++) {
    const int16_t *a = corners + 2 * index, *b = corners + 2 * ((index + 1) % count);
    if ((a[1] > y) == (b[1] > y)) continue;
    int64_t side = (int64_t)(b[0] - a[0]) * (y - a[1]) - (int64_t)(x - a[0]) * (b[1] - a[1]);
    if ((side < 0) == (b[1] > a[1])) inside = !inside;
  }
  return inside;
}

void polygon(struct surface on, const int16_t *corners, int count, int x, int y, uint32_t color) {
  struct box area = box(corners[0], corners[1], 0, 0);
  for (int index = 1; index < count; index++)
    area = around(area, box(corners[2 * index], corners[2 * index + 1], 0, 0));
  area = moved(area, x, y);
  area.left = (area.left >> 4) - 1, area.top = (area.top >> 4) - 1;
  area.right = (area.right >> 4) + 2, area.bottom = (area.bottom >> 4) + 2;
  area = common(area, bounds(on));
  for (int row = area.top; row < area.bottom; row++)
    for (int column = area.left; column < area.right; column++) {
      int hits = 0;
      for (int sample = 0; sample < 16; sample++)
        hits += is_inside(corners, count, column * 16 + (sample & 3) * 4 + 2 - x,
                          row * 16 + (sample >> 2) * 4 + 2 - y);
      mix(on, column, row, color, hits * 16);
    }
}

// ---- Letters ----

struct font {
  const struct glyph *glyphs;
  const uint8_t *shades;
};

static struct font font_of(int number) {
  struct font found;
  found.glyphs = plain_glyphs, found.shades = plain_shades;
  if (number == FONT_BOLD) found.glyphs = bold_glyphs, found.shades = bold_shades;
  if (number == FONT_LARGE) found.glyphs = large_glyphs, found.shades = large_shades;
  if (number == FONT_MONO) found.glyphs = mono_glyphs, found.shades = mono_shades;
  return found;
}

// The glyph of a character; a blank's where there is none.
static const struct glyph *glyph_of(struct font font, int number, int character) {
  int last = number == FONT_LARGE ? ':' : '~';
  return font.glyphs + (character < ' ' || character > last ? 0 : character - ' ');
}

void letter(struct surface on, int number, int left, int top, uint32_t color, int character) {
  struct font font = font_of(number);
  const struct glyph *glyph = glyph_of(font, number, character);
  const uint8_t *shades = font.shades + glyph->shades;
  int index = 0;
  for (int row = 0; row < glyph->height; row++)
    for (int column = 0; column < glyph->width; column++, index++) {
      int shade = shades[index >> 1] >> (index & 1 ? 4 : 0) & 15;
      if (shade) mix(on, left + glyph->left + column, top + glyph->top + row, color, shade * 273 >> 4);
    }
}

int text(struct surface on, int number, int left, int top, uint32_t color, const char *words) {
  struct font font = font_of(number);
  int at = left * 64;
  for (; *words; words++) {
    letter(on, number, (at + 32) >> 6, top, color, *words);
    at += glyph_of(font, number, *words)->advance;
  }
  return (at + 32) >> 6;
}

int text_width(int number, const char *words) {
  struct font font = font_of(number);
  int width = 0;
  for (; *words; words++) width += glyph_of(font, number, *words)->advance;
  return (width + 32) >> 6;
}

char *append(char *to, const char *words) {
  while (*words) *to++ = *words++;
  *to = 0;
  return to;
}

char *decimal(char *to, uint32_t value, int width) {
  int digits = 1;
  for (uint32_t rest = value / 10; rest; rest /= 10) digits++;
  if (digits < width) digits = width;
  for (int index = digits; index-- > 0; value /= 10) to[index] = (char)('0' + value % 10);
  to[digits] = 0;
  return to + digits;
}
