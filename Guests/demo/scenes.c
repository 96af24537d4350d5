// The demo desktop's scenes and its loop.
#include "demo.h"

enum { COM1 = 0x3F8, TICKS_A_SECOND = 60 };

void serial_text(const char *words) {
  for (; *words; words++) out8(COM1, (uint8_t)*words);
}

// ---- Date and time ----

static int clock_register(uint8_t number, int is_binary) {
  out8(0x70, number);
  int value = in8(0x71);
  return is_binary ? value : (value >> 4) * 10 + (value & 15);
}

// Called right after a change, when the clock stands still for most of a second.
static void read_clock(void) {
  out8(0x70, 0x0B);
  int is_binary = in8(0x71) & 4;
  S.date.second = clock_register(0, is_binary), S.date.minute = clock_register(2, is_binary);
  S.date.hour = clock_register(4, is_binary), S.date.day = clock_register(7, is_binary);
  S.date.month = clock_register(8, is_binary), S.date.year = 2000 + clock_register(9, is_binary);
}

static void draw_date(void) {
  char words[24], *end = decimal(words, (uint32_t)S.date.year, 4);
  end = decimal(append(end, T("-")), (uint32_t)S.date.month, 2);
  end = decimal(append(end, T("-")), (uint32_t)S.date.day, 2);
  end = decimal(append(end, T("   ")), (uint32_t)S.date.hour, 2);
  decimal(append(end, T(":")), (uint32_t)S.date.minute, 2);
  draw_top_bar(words);
}

// ---- Interrupts that scenes want ----

static void start_ticks(void) {
  uint32_t count = 1193182 / TICKS_A_SECOND;
  out8(0x43, 0x34);
  out8(0x40, (uint8_t)count);
  out8(0x40, (uint8_t)(count >> 8));
}

// The keyboard and the mouse always; the timer and the clock where something moves.
static void open_interrupts(int moves) {
  out8(0x70, 0x0B);
  uint8_t mode = in8(0x71);
  out8(0x70, 0x0B);
  out8(0x71, moves ? mode | 0x10 : mode & (uint8_t)~0x10);
  out8(0x70, 0x0C);
  in8(0x71);
  out8(0x21, moves ? 0xF8 : 0xF9);
  out8(0xA1, moves ? 0xEE : 0xEF);
}

// ---- Scenes ----

static void open_desktop(void) {
  int x = (S.screen.right - 1024) / 2, y = (S.screen.bottom - 768) / 2;
  open_clock(x + 808, y + 52);
  open_paint(x + 640, y + 352);
  open_terminal(x + 36, y + 416, 58, 17);
  open_porthole(x + 548, y + 50);
  open_tester(x + 536, y + 572);
  open_pad(x + 84, y + 72, 50, 17);
  for (const char *words = welcome; *words; words++) S.pad->key(S.pad, *words);
}

void start_scene(int scene) {
  S.scene = scene, S.next_scene = -1, S.windows = 0, S.dragged = S.pressed = NULL;
  S.pad = S.terminal = S.paint = S.porthole = S.clock = S.tester = NULL;
  // Windows' pixels begin anew behind what lasts.
  S.next_pixels = S.wallpaper.pixels + S.wallpaper.width * S.wallpaper.height;
  S.drag_angle = 0, S.scroll_line = 0;
  read_clock();
  if (scene == SCENE_DESKTOP) {
    draw_date();
    open_desktop();
    porthole_rate(0);
  } else {
    draw_top_bar(T(""));
  }
  if (scene == SCENE_STILL) open_pad(132, 82, 92, 32);
  if (scene == SCENE_DRAG) {
    open_terminal(48, 120, 54, 30);
    open_porthole(600, 300);
  }
  if (scene == SCENE_SCROLL)
    open_terminal(24, TOP_BAR + 16, (S.screen.right - 72) / 8, (S.screen.bottom - 130) / 16);
  damage(S.screen);
  present();
  S.frames_before = S.frames;
  S.ticks_seen = MAIL->ticks, S.seconds_seen = MAIL->seconds;
}

// A line of text that is never the same.
static void scroll(void) {
  char words[80], *end = decimal(words, (uint32_t)++S.scroll_line, 6);
  *end++ = ' ';
  int length = 20 + (int)(random_word() % 28);
  for (int index = 0; index < length; index++) {
    uint32_t random = random_word();
    *end++ = random % 6 ? (char)('a' + (random >> 8) % 26) : ' ';
  }
  *end = 0;
  say(words);
}

// All of the screen anew with numbers that nothing compresses, and how many times so far.
void noise_frame(void) {
  uint64_t x = S.random;
  for (int y = 0; y < S.screen.bottom; y++) {
    uint64_t *pixel = (uint64_t *)(S.frame_buffer.pixels + y * S.pitch);
    for (int pair = 0; pair < S.screen.right / 2; pair++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      pixel[pair] = x;
    }
  }
  S.random = x;
  S.frames++;
}

void scene_frame(void) {
  porthole_frame();
  if (S.scene == SCENE_DRAG) {
    scroll();
    S.drag_angle += 6;
    move_window(S.porthole, S.screen.right / 2 + sine(S.drag_angle) * (S.screen.right / 4) / 4096,
                S.screen.bottom / 2 - 150 + sine(S.drag_angle + 256) * 160 / 4096);
  }
  if (S.scene == SCENE_SCROLL) scroll();
}

void scene_second(void) {
  uint32_t rate = S.frames - S.frames_before;
  S.frames_before = S.frames;
  char words[40], *end = decimal(append(words, T("frames ")), rate, 1);
  append(end, T("\r\n"));
  serial_text(words);
  porthole_rate((uint32_t)(S.wave - S.wave_before));
  S.wave_before = S.wave;
  if (S.scene != SCENE_DESKTOP) return;
  read_clock();
  clock_second();
  if (S.date.second == 0) draw_date();
  if (S.date.second % 5) return;
  end = decimal(words, (uint32_t)S.date.hour, 2);
  end = decimal(append(end, T(":")), (uint32_t)S.date.minute, 2);
  end = decimal(append(end, T(":")), (uint32_t)S.date.second, 2);
  append(decimal(append(end, T("  picture ")), S.frames, 1), T(""));
  say(words);
}

// ---- The loop ----

static void begin(void) {
  fill_pixels((uint32_t *)&S, 0, sizeof S / 4);
  S.random = 0x9E3779B97F4A7C15;
  S.next_pixels = (uint32_t *)0x300000;
  int width = MODE_WIDTH, height = MODE_HEIGHT;
  S.pitch = MODE_PITCH / 4;
  S.screen = box(0, 0, width, height);
  S.frame_buffer.pixels = (uint32_t *)(uintptr_t)MODE_FRAME_BUFFER;
  S.frame_buffer.width = width, S.frame_buffer.height = height;
  S.pointer_x = width * 7 / 10, S.pointer_y = height / 2;
  make_pointer();
  S.picture = new_surface(width, height);
  S.bar = new_surface(width, TOP_BAR);
  S.wallpaper = new_surface(width, height);
  paint_wallpaper(S.wallpaper);
  out8(COM1 + 3, 0x03); // 8 bits, no parity
}

void demo_main(void) {
  begin();
  start_ticks();
  int wanted = (int)BOOT_HEADER->scene;
  S.scene = wanted >= 0 && wanted < SCENES ? wanted : SCENE_DESKTOP;
  start_scene(S.scene);
  start_input();
  open_interrupts(S.scene != SCENE_STILL);
  serial_text(T("demo ready\r\n"));
  for (;;) {
    MAIL->seen = MAIL->wakes;
    take_keys();
    take_mouse();
    if (S.next_scene >= 0) {
      start_scene(S.next_scene);
      open_interrupts(S.scene != SCENE_STILL);
    }
    if (S.scene == SCENE_NOISE) {
      noise_frame();
    } else if (S.ticks_seen != MAIL->ticks && S.scene != SCENE_STILL) {
      S.ticks_seen = MAIL->ticks;
      scene_frame();
    }
    if (S.seconds_seen != MAIL->seconds) {
      S.seconds_seen = MAIL->seconds;
      if (S.scene != SCENE_STILL) scene_second();
    }
    if (S.scene != SCENE_NOISE) {
      present();
      __asm__ volatile("hlt" : : : "memory");
    } else {
      S.damages = 0;
    }
  }
}
