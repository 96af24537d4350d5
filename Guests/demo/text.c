// Programs of letters: the text pad, the terminal, and the tester of keys and buttons.
#include "demo.h"

enum { CELL_WIDTH = 8, CELL_HEIGHT = 16, MARGIN = 12 };

// ---- A grid of characters ----

static struct box cell_box(struct grid *at) {
  return box(at->left + at->column * CELL_WIDTH, at->top + at->row * CELL_HEIGHT, CELL_WIDTH,
             CELL_HEIGHT);
}

static void draw_cell(struct window *in, struct grid *at, int character) {
  struct box cell = cell_box(at);
  fill(in->body, cell, in->back);
  letter(in->body, FONT_MONO, cell.left, cell.top - 1, at->ink, character);
  touch(in, cell);
}

void grid_caret(struct window *in, struct grid *at, uint32_t color) {
  struct box cell = cell_box(at);
  fill(in->body, cell, in->back);
  fill(in->body, box(cell.left, cell.top + 14, CELL_WIDTH, 2), color);
  touch(in, cell);
}

// The rows move up, and the last one is empty.
static void scroll_grid(struct window *in, struct grid *at) {
  int width = at->columns * CELL_WIDTH, height = at->rows * CELL_HEIGHT;
  for (int y = at->top; y < at->top + height - CELL_HEIGHT; y++) {
    uint32_t *row = in->body.pixels + y * in->body.width + at->left;
    copy_pixels(row, row + CELL_HEIGHT * in->body.width, width);
  }
  fill(in->body, box(at->left, at->top + height - CELL_HEIGHT, width, CELL_HEIGHT), in->back);
  touch(in, box(at->left, at->top, width, height));
}

static void next_row(struct window *in, struct grid *at) {
  at->column = 0;
  if (at->row < at->rows - 1) {
    at->row++;
  } else {
    scroll_grid(in, at);
  }
}

static void clear_grid(struct window *in, struct grid *at) {
  struct box area = box(at->left, at->top, at->columns * CELL_WIDTH, at->rows * CELL_HEIGHT);
  at->column = at->row = 0;
  fill(in->body, area, in->back);
  touch(in, area);
}

// Takes a character without the caret: a line's end, a backspace, or a letter.
void grid_put(struct window *in, struct grid *at, int character) {
  if (character == '\r') {
    next_row(in, at);
  } else if (character == '\b') {
    if (at->column == 0) return;
    at->column--;
    draw_cell(in, at, ' ');
  } else if (character == '\t') {
    do grid_put(in, at, ' '); while (at->column & 3);
  } else if (character >= ' ') {
    draw_cell(in, at, character);
    if (++at->column == at->columns) next_row(in, at);
  }
}

static struct window *open_grid(
    int x, int y, int columns, int rows, const char *title, uint32_t accent, uint32_t back,
    struct grid *at) {
  struct window *made = open_window(
      x, y, columns * CELL_WIDTH + 2 * MARGIN, rows * CELL_HEIGHT + 2 * MARGIN, title, accent);
  made->back = back;
  fill(made->body, box(0, 0, made->body.width, made->body.height), back);
  at->columns = columns, at->rows = rows, at->left = at->top = MARGIN;
  at->column = at->row = 0;
  return made;
}

// ---- The text pad ----

static void pad_key(struct window *in, int character) {
  grid_caret(in, &S.pad_grid, in->back);
  if (character == 27) {
    clear_grid(in, &S.pad_grid);
  } else {
    grid_put(in, &S.pad_grid, character);
  }
  grid_caret(in, &S.pad_grid, 0xC8662F);
}

void open_pad(int x, int y, int columns, int rows) {
  S.pad = open_grid(x, y, columns, rows, T("Text pad"), COLOR_AMBER, COLOR_PAPER, &S.pad_grid);
  S.pad_grid.ink = COLOR_INK;
  S.pad->key = pad_key;
  grid_caret(S.pad, &S.pad_grid, 0xC8662F);
}

// ---- The terminal ----

static void put_words(const char *words) {
  for (; *words; words++) grid_put(S.terminal, &S.terminal_grid, *words);
}

static void prompt(void) {
  S.terminal_grid.ink = COLOR_GREEN;
  put_words(T("> "));
  S.terminal_grid.ink = COLOR_TEXT;
  for (int index = 0; index < S.line_length; index++)
    grid_put(S.terminal, &S.terminal_grid, S.line[index]);
  grid_caret(S.terminal, &S.terminal_grid, COLOR_GREEN);
}

// Takes the line with the prompt away, which other lines come before.
static void leave_prompt(void) {
  struct grid *at = &S.terminal_grid;
  struct box line = box(at->left, at->top + at->row * CELL_HEIGHT, at->columns * CELL_WIDTH,
                        CELL_HEIGHT);
  fill(S.terminal->body, line, S.terminal->back);
  touch(S.terminal, line);
  at->column = 0;
}

void say(const char *words) {
  if (!S.terminal) return;
  leave_prompt();
  S.terminal_grid.ink = COLOR_FAINT;
  put_words(words);
  put_words(T("\r"));
  prompt();
}

static int is_same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void obey(void) {
  S.line[S.line_length] = 0;
  S.line_length = 0;
  const char *line = S.line;
  S.terminal_grid.ink = COLOR_TEXT;
  if (is_same(line, T("help"))) {
    put_words(T("clear, count, scene desktop (still, drag, scroll, noise)\r"));
  } else if (is_same(line, T("clear"))) {
    clear_grid(S.terminal, &S.terminal_grid);
  } else if (is_same(line, T("count"))) {
    char number[12];
    for (uint32_t count = 1; count <= 100; count++) {
      decimal(number, count, 4);
      put_words(number);
      put_words(count & 7 ? T("  ") : T("\r"));
    }
    put_words(T("\r"));
  } else if (is_same(line, T("scene desktop"))) {
    S.next_scene = SCENE_DESKTOP;
  } else if (is_same(line, T("scene still"))) {
    S.next_scene = SCENE_STILL;
  } else if (is_same(line, T("scene drag"))) {
    S.next_scene = SCENE_DRAG;
  } else if (is_same(line, T("scene scroll"))) {
    S.next_scene = SCENE_SCROLL;
  } else if (is_same(line, T("scene noise"))) {
    S.next_scene = SCENE_NOISE;
  } else if (*line) {
    put_words(line);
    put_words(T("? Try help.\r"));
  }
}

static void terminal_key(struct window *in, int character) {
  grid_caret(in, &S.terminal_grid, in->back);
  if (character == '\r') {
    put_words(T("\r"));
    obey();
    prompt();
    return;
  }
  if (character == '\b' && S.line_length > 0) {
    S.line_length--;
    grid_put(in, &S.terminal_grid, '\b');
  } else if (character >= ' ' && S.line_length < within(S.terminal_grid.columns - 4, 0, 60)) {
    S.line[S.line_length++] = (char)character;
    grid_put(in, &S.terminal_grid, character);
  }
  grid_caret(in, &S.terminal_grid, COLOR_GREEN);
}

void open_terminal(int x, int y, int columns, int rows) {
  S.terminal = open_grid(
      x, y, columns, rows, T("Terminal"), COLOR_GREEN, 0x12172A, &S.terminal_grid);
  S.terminal->key = terminal_key;
  S.line_length = 0;
  S.terminal_grid.ink = COLOR_TEAL;
  put_words(T("Porthole's demo desktop, 64-bit, ring 3\r"));
  prompt();
}

// ---- What keys and buttons send ----

static void chip(int x, int y, int width, const char *words, int is_lit, uint32_t color) {
  struct window *in = S.tester;
  rounded(in->body, box(x, y, width, 24), 7, is_lit ? color : COLOR_CARD);
  text(in->body, FONT_PLAIN, x + (width - text_width(FONT_PLAIN, words)) / 2, y + 4,
       is_lit ? 0x14182A : COLOR_FAINT, words);
}

static const char *name_of(int code, int is_extended) {
  for (const char *name = key_names; (uint8_t)*name != 0xFF;) {
    if ((uint8_t)*name == (code | (is_extended ? 128 : 0))) return name + 1;
    while (*name++) continue;
  }
  return NULL;
}

static void draw_codes(void) {
  struct window *in = S.tester;
  fill(in->body, box(0, 0, in->body.width, 76), in->back);
  text(in->body, FONT_PLAIN, 16, 12, COLOR_FAINT, T("Scan codes"));
  for (int index = 0; index < 8; index++) {
    char digits[3];
    for (int digit = 0; digit < 2; digit++) {
      int value = S.codes[index] >> (digit ? 0 : 4) & 15;
      digits[digit] = (char)(value < 10 ? '0' + value : 'A' + value - 10);
    }
    digits[2] = 0;
    if (!S.codes[index]) digits[0] = 0;
    chip(16 + index * 38, 36, 32, digits, index == 7 && S.codes[7], COLOR_TEAL);
  }
  int code = S.codes[7] & 0x7F, is_up = S.codes[7] & 0x80;
  if (!code) return;
  char word[2];
  const char *name = name_of(code, S.codes[6] == 0xE0);
  if (!name && code < 58) word[0] = shifted_keys[code], word[1] = 0, name = word;
  if (!name) name = T("?");
  const char *what = is_up ? T("let go") : T("pressed");
  int at = in->body.width - 16 - text_width(FONT_PLAIN, what);
  text(in->body, FONT_PLAIN, at, 12, COLOR_FAINT, what);
  text(in->body, FONT_BOLD, at - 6 - text_width(FONT_BOLD, name), 12, COLOR_TEXT, name);
}

void tester_byte(uint8_t code) {
  if (!S.tester) return;
  for (int index = 0; index < 7; index++) S.codes[index] = S.codes[index + 1];
  S.codes[7] = code;
  draw_codes();
  touch(S.tester, box(0, 0, S.tester->body.width, 76));
}

void tester_pointer(int x, int y, int buttons, int wheel) {
  if (!S.tester) return;
  struct window *in = S.tester;
  char words[40], *end;
  S.wheel += wheel;
  struct box area = box(0, 76, in->body.width, 76);
  fill(in->body, area, in->back);
  end = append(words, T("Pointer  "));
  end = append(decimal(end, (uint32_t)x, 1), T(", "));
  decimal(end, (uint32_t)y, 1);
  text(in->body, FONT_PLAIN, 16, 84, COLOR_FAINT, words);
  end = append(words, S.wheel < 0 ? T("wheel -") : T("wheel "));
  decimal(end, (uint32_t)(S.wheel < 0 ? -S.wheel : S.wheel), 1);
  text(in->body, FONT_PLAIN, in->body.width - 16 - text_width(FONT_PLAIN, words), 84, COLOR_FAINT,
       words);
  chip(16, 108, 70, T("left"), buttons & LEFT_BUTTON, COLOR_ROSE);
  chip(92, 108, 70, T("middle"), buttons & MIDDLE_BUTTON, COLOR_ROSE);
  chip(168, 108, 70, T("right"), buttons & RIGHT_BUTTON, COLOR_ROSE);
  chip(244, 108, 32, T("4"), buttons & FOURTH_BUTTON, COLOR_ROSE);
  chip(282, 108, 32, T("5"), buttons & FIFTH_BUTTON, COLOR_ROSE);
  touch(in, area);
}

void open_tester(int x, int y) {
  S.tester = open_window(x, y, 330, 150, T("Keys and buttons"), COLOR_ROSE);
  draw_codes();
  tester_pointer(S.pointer_x, S.pointer_y, 0, 0);
}
