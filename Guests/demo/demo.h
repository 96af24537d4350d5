// What the parts of the demo desktop share. It is 64-bit ring 3 code without a library under it.
//
// All code and all constants are in the section guest_demo, which guest_copy() puts behind demo.S's
// sectors as it is; they reach each other by distance alone and run wherever they are loaded. So a
// file has code or constants, never both; texts in code are made by T(); and whatever changes is in
// `struct state` at a fixed address.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#ifdef DEMO_CONSTANTS
#pragma clang section rodata = "guest_demo"
#else
#pragma clang section text = "guest_demo"
#endif

// Reached by distance, not through a table.
#pragma GCC visibility push(hidden)

// A text, in the section of the code around it.
#define T(text)                                                              \
  ({                                                                         \
    const char *text_at;                                                     \
    __asm__(".pushsection guest_demo,1,\"ax\",@progbits\n77: .asciz " #text  \
            "\n.popsection\n leaq 77b(%%rip), %0"                            \
            : "=r"(text_at));                                                \
    text_at;                                                                 \
  })

// ---- Machine ----

#define BOOT_HEADER ((volatile struct boot_header *)(0x7C00 + DEMO_HEADER))

// What the interrupt handlers leave.
struct mail {
  uint32_t ticks, seconds;
  uint8_t wakes, seen, key_head, mouse_head;
  uint32_t reserved;
  uint8_t keys[256], mouse[256];
};
#define MAIL ((volatile struct mail *)0x5000)
// Of VBE's description of the mode (VBE 3.0, function 01h).
#define MODE_PITCH (*(volatile uint16_t *)0x7210)
#define MODE_WIDTH (*(volatile uint16_t *)0x7212)
#define MODE_HEIGHT (*(volatile uint16_t *)0x7214)
#define MODE_FRAME_BUFFER (*(volatile uint32_t *)0x7228)

static inline void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t in8(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline void copy_pixels(uint32_t *to, const uint32_t *from, int count) {
  long words = count;
  if (count > 0)
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}
static inline void fill_pixels(uint32_t *to, uint32_t color, int count) {
  long words = count;
  if (count > 0) __asm__ volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(color) : "memory");
}

// ---- Numbers and places ----

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }
static inline int within(int value, int low, int high) { return most(low, least(value, high)); }

// Pixels left <= x < right, top <= y < bottom; empty where there are none.
struct box {
  int left, top, right, bottom;
};
static inline struct box box(int left, int top, int width, int height) {
  struct box made;
  made.left = left, made.top = top, made.right = left + width, made.bottom = top + height;
  return made;
}
static inline int is_empty(struct box a) { return a.left >= a.right || a.top >= a.bottom; }
static inline int has(struct box a, int x, int y) {
  return x >= a.left && x < a.right && y >= a.top && y < a.bottom;
}
static inline struct box common(struct box a, struct box b) {
  struct box made;
  made.left = most(a.left, b.left), made.top = most(a.top, b.top);
  made.right = least(a.right, b.right), made.bottom = least(a.bottom, b.bottom);
  return made;
}
static inline struct box around(struct box a, struct box b) {
  struct box made;
  made.left = least(a.left, b.left), made.top = least(a.top, b.top);
  made.right = most(a.right, b.right), made.bottom = most(a.bottom, b.bottom);
  return made;
}
static inline struct box moved(struct box a, int x, int y) {
  return box(a.left + x, a.top + y, a.right - a.left, a.bottom - a.top);
}

int square_root(int value);
// 4096 times the sine; 1,024 is a whole turn.
int sine(int angle);
uint32_t random_word(void);
// A random number that is always the same for the same place.
uint32_t scatter(uint32_t x, uint32_t y);

// ---- Drawing ----

// Colours are 0xRRGGBB.
struct surface {
  uint32_t *pixels;
  int width, height;
};

struct glyph {
  int8_t left, top;
  uint8_t width, height;
  uint16_t advance; // 64ths of a pixel
  uint16_t shades;
};
enum { FONT_PLAIN, FONT_BOLD, FONT_LARGE, FONT_MONO };
extern const struct glyph plain_glyphs[], bold_glyphs[], large_glyphs[], mono_glyphs[];
extern const uint8_t plain_shades[], bold_shades[], large_shades[], mono_shades[];

// `alpha` of 256 parts of `over`, the rest of `under`.
static inline uint32_t blend(uint32_t under, uint32_t over, int alpha) {
  uint32_t red_blue = (under & 0xFF00FF) * (uint32_t)(256 - alpha) + (over & 0xFF00FF) * (uint32_t)alpha;
  uint32_t green = (under & 0x00FF00) * (uint32_t)(256 - alpha) + (over & 0x00FF00) * (uint32_t)alpha;
  return ((red_blue >> 8) & 0xFF00FF) | ((green >> 8) & 0x00FF00);
}
// Memory for `count` pixels that nobody gives back.
uint32_t *new_pixels(int count);
struct surface new_surface(int width, int height);
void fill(struct surface on, struct box area, uint32_t color);
// A filled box with corners of `radius`, its edges smooth.
void rounded(struct surface on, struct box area, int radius, uint32_t color);
// From left to right of a line at `top`; where the next letter would stand.
int text(struct surface on, int font, int left, int top, uint32_t color, const char *words);
int text_width(int font, const char *words);
void letter(struct surface on, int font, int left, int top, uint32_t color, int character);
// A line with round ends; all in 16ths of a pixel.
void stroke(
    struct surface on, int x0, int y0, int x1, int y1, int radius, uint32_t color);
void disc(struct surface on, int x, int y, int radius, uint32_t color);
// A filled shape; corners in 16ths of a pixel, x and y in turn.
void polygon(struct surface on, const int16_t *corners, int count, int x, int y, uint32_t color);
// Decimal digits, at least `width` of them; the end of what was written, which is a zero byte.
char *decimal(char *to, uint32_t value, int width);
char *append(char *to, const char *words);

// ---- Colours ----

enum {
  COLOR_BACK = 0x1B2133, COLOR_BAR = 0x2B3350, COLOR_BAR_IDLE = 0x242B41, COLOR_TEXT = 0xE8ECF5,
  COLOR_FAINT = 0x8D97B3, COLOR_CARD = 0x262E45, COLOR_PAPER = 0xF8F4EA, COLOR_INK = 0x23262F,
  COLOR_AMBER = 0xF4A95C, COLOR_TEAL = 0x58C7D4, COLOR_ROSE = 0xEC6F86, COLOR_GREEN = 0x8FD382,
  COLOR_VIOLET = 0xA594F5,
};

// ---- Windows ----

enum { TITLE = 34, CORNER = 10, TOP_BAR = 32, MOST_WINDOWS = 6, MOST_DAMAGE = 12 };
enum { LEFT_BUTTON = 1, RIGHT_BUTTON = 2, MIDDLE_BUTTON = 4, FOURTH_BUTTON = 8, FIFTH_BUTTON = 16 };

struct window {
  struct surface all;  // the title bar and below it what the window is about
  struct surface body; // that without the title bar; shares its pixels
  int x, y;
  const char *title;
  uint32_t accent, back;
  // What answers a character, and the pointer within the body while a button is down.
  void (*key)(struct window *, int character);
  void (*point)(struct window *, int x, int y, int buttons, int wheel);
};

struct window *open_window(int x, int y, int width, int height, const char *title, uint32_t accent);
struct box outside(const struct window *of);
// Something within the window's body is new.
void touch(struct window *of, struct box area);
void damage(struct box area);
// Brings what is damaged to the screen.
void present(void);
void raise_window(struct window *of);
void move_window(struct window *of, int x, int y);
void pointer_moved(int x, int y, int buttons, int wheel);
void make_pointer(void);
void draw_top_bar(const char *right);
void paint_wallpaper(struct surface on);

// ---- Programs in windows ----

// A grid of characters.
struct grid {
  int columns, rows, column, row, left, top;
  uint32_t ink;
};
void open_pad(int x, int y, int columns, int rows);
void open_terminal(int x, int y, int columns, int rows);
void open_paint(int x, int y);
void open_porthole(int x, int y);
void open_clock(int x, int y);
void open_tester(int x, int y);
void grid_put(struct window *in, struct grid *at, int character);
void grid_caret(struct window *in, struct grid *at, uint32_t color);
void say(const char *words);
void porthole_frame(void);
void porthole_rate(uint32_t frames);
void clock_second(void);
void tester_byte(uint8_t code);
void tester_pointer(int x, int y, int buttons, int wheel);

// ---- Scenes, input ----

void start_scene(int scene);
// What the scene does at a tick, and once a second.
void scene_frame(void);
void scene_second(void);
void noise_frame(void);
void serial_text(const char *words);
void start_input(void);
void take_keys(void);
void take_mouse(void);
extern const char plain_keys[59], shifted_keys[59], key_names[], welcome[];
extern const int16_t pointer_outline[14], pointer_filling[14], boat_hull[8], boat_sail[6], boat_jib[6];
extern const uint32_t paint_colors[6];

struct date {
  int year, month, day, hour, minute, second;
};

// All that changes. It begins as zeroes.
struct state {
  struct surface frame_buffer, picture, wallpaper, bar;
  int pitch; // of the frame buffer, in pixels
  struct box screen;
  uint32_t *next_pixels;
  uint64_t random;
  int scene, next_scene; // -1: goes on
  // How many times the picture came to the screen, in all and at the last second.
  uint32_t frames, frames_before, ticks_seen, seconds_seen;
  struct date date;
  // Windows from the lowest to the highest, and those that have a name.
  int windows;
  struct window *order[MOST_WINDOWS];
  struct window window[MOST_WINDOWS];
  struct window *pad, *terminal, *paint, *porthole, *clock, *tester;
  struct window *dragged, *pressed;
  int drag_x, drag_y;
  int damages;
  struct box damage[MOST_DAMAGE];
  uint8_t corner[CORNER * CORNER]; // how much of a corner's pixel is outside, of 256
  uint8_t shadow[48 * 48];
  // The pointer and what it looks like: 0xAA before a colour.
  int pointer_x, pointer_y, buttons;
  uint32_t pointer[32 * 32];
  // Input.
  uint8_t key_tail, mouse_tail, extended, shift, caps, is_absolute, packet_bytes, packet_size;
  uint8_t packet[4];
  // Programs.
  struct grid pad_grid, terminal_grid;
  char line[64];
  int line_length, color, brush, last_x, last_y, is_drawing;
  int wave, wave_before; // how far the sea has come, and had at the last second
  uint8_t *glass;          // how much of each pixel of the porthole is ring, of 255
  uint32_t *sky;           // what is behind its sea
  uint32_t water[3 * 128]; // its waves' colours by layer and depth
  uint8_t codes[8];
  int wheel, scroll_line, drag_angle;
};
#define S (*(struct state *)0x200000)
