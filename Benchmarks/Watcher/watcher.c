// A viewer for measuring: reads what a VNC server sends as fast as it comes, and knows every
// encoding well enough to find where it ends. It decodes nothing, so it is never what is waited for.
//
//   Watcher SOCKET drain ENCODINGS SECONDS   updates, rectangles, pixels and bytes that came
//   Watcher SOCKET key COUNT GAP             ms from a key to the changed pixel at 0,0
//   Watcher SOCKET pointer COUNT GAP         ms from a pointer event to the changed pixel at 32,0
//   Watcher SOCKET press KEYSYM...           taps keys, and leaves
//   Watcher SOCKET session ENCODINGS COUNT   bytes of so many pictures that Space steps through
//
// ENCODINGS are numbers with commas between them, the best first; GAP is the longest pause before an
// event, in ms. Answers are one line of JSON (RFC 6143; numbers of encodings: IANA).
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RAW = 0, COPY = 1, HEXTILE = 5, ZLIB = 6, TIGHT = 7, ZRLE = 16 };
enum { DESKTOP_SIZE = -223, LAST_RECT = -224, CURSOR = -239, EXTENDED_SIZE = -308 };

static int link_fd;
static uint8_t buffer[1 << 20];
static size_t filled, taken;
static uint64_t bytes, rects, pixels, updates;
static int width, height;
// The pixel that is watched, and what it was last.
static int spot_x;
static uint32_t spot;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what) {
  fprintf(stderr, "Watcher: %s\n", what);
  exit(1);
}

static void fill(void) {
  ssize_t got = recv(link_fd, buffer, sizeof buffer, 0);
  if (got <= 0) die("the server closed the connection");
  bytes += (uint64_t)got;
  filled = (size_t)got;
  taken = 0;
}

// Up to `count` of the next bytes, where they lie.
static size_t some(const uint8_t **data, size_t count) {
  if (taken == filled) fill();
  size_t there = filled - taken < count ? filled - taken : count;
  *data = buffer + taken;
  taken += there;
  return there;
}

static void take(void *into, size_t count) {
  const uint8_t *data;
  while (count) {
    size_t there = some(&data, count);
    memcpy(into, data, there);
    into = (uint8_t *)into + there;
    count -= there;
  }
}

static void skip(size_t count) {
  const uint8_t *data;
  while (count) count -= some(&data, count);
}

static uint8_t byte(void) {
  uint8_t value;
  take(&value, 1);
  return value;
}
static uint32_t number(int count) {
  uint32_t value = 0;
  while (count--) value = value << 8 | byte();
  return value;
}

static void put(const void *data, size_t count) {
  if (send(link_fd, data, count, MSG_NOSIGNAL) != (ssize_t)count) die("the server takes nothing");
}

static void request(bool incremental) {
  uint8_t m[10] = {3, incremental, 0, 0, 0, 0, (uint8_t)(width >> 8), (uint8_t)width,
                   (uint8_t)(height >> 8), (uint8_t)height};
  put(m, sizeof m);
}

static void key(uint32_t keysym, bool down) {
  uint8_t m[8] = {4, down, 0, 0, (uint8_t)(keysym >> 24), (uint8_t)(keysym >> 16),
                  (uint8_t)(keysym >> 8), (uint8_t)keysym};
  put(m, sizeof m);
}

static void pointer(int x, int y) {
  uint8_t m[6] = {5, 0, (uint8_t)(x >> 8), (uint8_t)x, (uint8_t)(y >> 8), (uint8_t)y};
  put(m, sizeof m);
}

static void raw(int x, int y, int w, int h) {
  int left = spot_x - x;
  if (y > 0 || left < 0 || left >= w) return skip((size_t)w * (size_t)h * 4);
  skip((size_t)left * 4);
  take(&spot, 4);
  spot &= 0xFFFFFF;
  skip(((size_t)w * (size_t)h - (size_t)left - 1) * 4);
}

static void hextile(int w, int h) {
  for (int y = 0; y < h; y += 16)
    for (int x = 0; x < w; x += 16) {
      int tile_width = w - x < 16 ? w - x : 16, tile_height = h - y < 16 ? h - y : 16;
      int mask = byte();
      if (mask & 1) {
        skip((size_t)tile_width * (size_t)tile_height * 4);
        continue;
      }
      skip((mask & 2 ? 4 : 0) + (mask & 4 ? 4 : 0));
      if (mask & 8) skip((size_t)byte() * (mask & 16 ? 6 : 2));
    }
}

static size_t compact(void) {
  size_t value = 0;
  for (int shift = 0; shift < 21; shift += 7) {
    uint8_t part = byte();
    value |= (size_t)(shift == 14 ? part : part & 0x7F) << shift;
    if (!(part & 0x80)) break;
  }
  return value;
}

static void tight(int w, int h) {
  int kind = byte() >> 4;
  if (kind == 8) return skip(3);
  if (kind == 9) return skip(compact());
  if (kind > 7) die("an unknown kind of Tight");
  size_t row = (size_t)w * 3;
  int filter = kind & 4 ? byte() : 0;
  if (filter == 1) {
    int colors = byte() + 1;
    skip((size_t)colors * 3);
    row = colors == 2 ? ((size_t)w + 7) / 8 : (size_t)w;
  }
  size_t size = row * (size_t)h;
  skip(size < 12 ? size : compact());
}

// Whether more rectangles of this update follow.
static bool rectangle(void) {
  int x = (int)number(2), y = (int)number(2), w = (int)number(2), h = (int)number(2);
  int encoding = (int)number(4);
  rects++;
  if (encoding >= 0) pixels += (uint64_t)w * (uint64_t)h;
  switch (encoding) {
    case RAW: raw(x, y, w, h); break;
    case COPY: skip(4); break;
    case HEXTILE: hextile(w, h); break;
    case ZLIB:
    case ZRLE: skip(number(4)); break;
    case TIGHT: tight(w, h); break;
    case CURSOR: skip((size_t)w * (size_t)h * 4 + ((size_t)w + 7) / 8 * (size_t)h); break;
    case LAST_RECT: return false;
    case EXTENDED_SIZE: {
      int screens = byte();
      skip(3 + (size_t)screens * 16);
    }  // and the new size
    // fall through
    case DESKTOP_SIZE:
      width = w;
      height = h;
      break;
    default: die("an encoding that was not asked for");
  }
  return true;
}

// Reads messages up to the end of an update, and asks for the next one as its first byte comes.
static void update(void) {
  while (true) {
    int kind = byte();
    if (kind == 2) continue;
    if (kind == 3) {
      skip(3);
      skip(number(4));
      continue;
    }
    if (kind != 0) die("an unknown message");
    break;
  }
  request(true);
  byte();
  for (uint32_t left = number(2); left && rectangle(); left--) {}
  updates++;
}

static void start(const char *path, const char *encodings) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  link_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(link_fd, (struct sockaddr *)&address, sizeof address) != 0) die("no server there");
  skip(12);
  put("RFB 003.008\n", 12);
  skip(byte());
  put("\1", 1);
  if (number(4)) die("the server wants a password");
  put("\1", 1);
  width = (int)number(2);
  height = (int)number(2);
  skip(16);
  skip(number(4));
  static const uint8_t format[20] = {0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0};
  put(format, sizeof format);
  uint8_t message[4 + 4 * 32] = {2};
  uint8_t count = 0;
  for (const char *at = encodings; *at && count < 32; count++) {
    char *end;
    long value = strtol(at, &end, 10);
    for (int i = 0; i < 4; i++) message[4 + count * 4 + i] = (uint8_t)(value >> (24 - 8 * i));
    at = *end ? end + 1 : end;
  }
  message[3] = count;
  put(message, 4 + (size_t)count * 4);
  request(false);
}

// Seconds of processor time that this viewer took.
static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void drain(double seconds) {
  update();
  double before = cpu();
  bytes = rects = pixels = updates = 0;
  double begun = now(), last = begun;
  double gap = 0;
  while (now() - begun < seconds * 1000) {
    struct pollfd entry = {.fd = link_fd, .events = POLLIN};
    if (taken == filled && poll(&entry, 1, 100) <= 0) continue;
    update();
    double at = now();
    if (at - last > gap) gap = at - last;
    last = at;
  }
  printf("{\"updates\": %llu, \"rects\": %llu, \"pixels\": %llu, \"bytes\": %llu, "
         "\"seconds\": %.4f, \"longest\": %.2f, \"cpu\": %.4f}\n",
         (unsigned long long)updates, (unsigned long long)rects, (unsigned long long)pixels,
         (unsigned long long)bytes, (now() - begun) / 1000, gap, cpu() - before);
}

// Takes updates for `pause` ms.
static void follow(double pause) {
  double end = now() + pause;
  while (now() < end) {
    struct pollfd entry = {.fd = link_fd, .events = POLLIN};
    if (taken == filled && poll(&entry, 1, (int)ceil(end - now())) <= 0) continue;
    update();
  }
}

static void latency(bool keys, int count, double gap) {
  spot_x = keys ? 0 : 32;
  update();
  // A mouse knows nothing but differences: the first place is none.
  if (!keys) pointer(300, 320);
  printf("[");
  for (int i = 0; i < count; i++) {
    follow(gap * (0.5 + 0.5 * ((i * 37) % 61) / 61.0));
    uint32_t before = spot;
    double sent = now();
    if (keys)
      key('a', true);
    else
      pointer(300 + i % 2 * 10, 300 + i % 3 * 10);
    while (spot == before) {
      update();
      if (now() - sent > 10000) die("no answer in ten seconds");
    }
    printf("%s%.3f", i ? ", " : "", now() - sent);
    if (keys) key('a', false);
  }
  printf("]\n");
}

static void session(int count) {
  update();
  key('2', true);
  key('2', false);
  key('0', true);
  key('0', false);
  follow(300);
  bytes = rects = updates = 0;
  for (int i = 0; i < count; i++) {
    uint64_t before = updates;
    key(' ', true);
    key(' ', false);
    while (updates == before) update();
    // The rest of the picture, where it came in pieces.
    follow(45);
  }
  printf("{\"updates\": %llu, \"rects\": %llu, \"pixels\": %llu, \"bytes\": %llu}\n", (unsigned long long)updates, (unsigned long long)rects, (unsigned long long)pixels,
         (unsigned long long)bytes);
}

int main(int count, char **words) {
  if (count < 4) die("words are missing: see the source");
  const char *what = words[2];
  bool draining = strcmp(what, "drain") == 0 && count == 5;
  bool stepping = strcmp(what, "session") == 0 && count == 5;
  start(words[1], draining || stepping ? words[3] : "0,-223");
  if (stepping) {
    session(atoi(words[4]));
  } else if (draining) {
    drain(atof(words[4]));
  } else if (strcmp(what, "press") == 0) {
    update();
    for (int i = 3; i < count; i++) {
      key((uint32_t)strtoul(words[i], NULL, 0), true);
      key((uint32_t)strtoul(words[i], NULL, 0), false);
    }
    follow(50);
  } else if (count == 5) {
    latency(strcmp(what, "key") == 0, atoi(words[3]), atof(words[4]));
  }
  return 0;
}
