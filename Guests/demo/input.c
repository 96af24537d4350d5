// Input: scan codes to characters; the mouse, or VMware's pointer where the machine has one.
#include "demo.h"

// ---- VMware's port: a command in CX, and an answer in four registers ----

enum { VMWARE_MAGIC = 0x564D5868, VMWARE_PORT = 0x5658 };
enum { GET_VERSION = 10, POINTER_DATA = 39, POINTER_STATUS = 40, POINTER_COMMAND = 41 };
enum { READ_IDENTITY = 0x45414552, REQUEST_ABSOLUTE = 0x53424152, IDENTITY = 0x3442554A };

struct answer {
  uint32_t a, b, c, d;
};

static struct answer ask_vmware(uint32_t command, uint32_t with) {
  struct answer got;
  __asm__ volatile("inl %%dx, %%eax"
                   : "=a"(got.a), "=b"(got.b), "=c"(got.c), "=d"(got.d)
                   : "a"(VMWARE_MAGIC), "b"(with), "c"(command), "d"(VMWARE_PORT)
                   : "memory");
  return got;
}

static int start_vmware_pointer(void) {
  struct answer version = ask_vmware(GET_VERSION, ~(uint32_t)VMWARE_MAGIC);
  if (version.b != VMWARE_MAGIC || version.a == 0xFFFFFFFF) return 0;
  ask_vmware(POINTER_COMMAND, READ_IDENTITY);
  if ((ask_vmware(POINTER_STATUS, 0).a & 0xFFFF) == 0) return 0;
  if (ask_vmware(POINTER_DATA, 1).a != IDENTITY) return 0;
  ask_vmware(POINTER_COMMAND, REQUEST_ABSOLUTE);
  return 1;
}

// The pixel of a coordinate, of which 0 is the first one and FFFFh the last.
static int on_screen(uint32_t coordinate, int pixels) {
  return (int)(((coordinate & 0xFFFF) * (uint32_t)(pixels - 1) + 0x7FFF) / 0xFFFF);
}

static void take_vmware_pointer(void) {
  for (int packets = 0; packets < 64; packets++) {
    uint32_t status = ask_vmware(POINTER_STATUS, 0).a;
    if (status >> 16 == 0xFFFF) {
      // Words were lost: begin anew.
      S.is_absolute = (uint8_t)start_vmware_pointer();
      return;
    }
    if ((status & 0xFFFF) < 4) return;
    struct answer got = ask_vmware(POINTER_DATA, 4);
    int buttons = (got.a & 0x20 ? LEFT_BUTTON : 0) | (got.a & 0x10 ? RIGHT_BUTTON : 0) |
                  (got.a & 0x08 ? MIDDLE_BUTTON : 0) | (S.packet[3] & 0x30) >> 1;
    pointer_moved(on_screen(got.b, S.screen.right), on_screen(got.c, S.screen.bottom), buttons,
                  (int8_t)got.d);
  }
}

// ---- The keyboard's controller ----

static int can_read(void) {
  for (int tries = 0; tries < 1000; tries++)
    if (in8(0x64) & 1) return 1;
  return 0;
}

static void controller(uint8_t port, uint8_t value) {
  for (int tries = 0; tries < 1000 && in8(0x64) & 2; tries++) continue;
  out8(port, value);
}

// Sends the mouse a byte; its answer.
static uint8_t to_mouse(uint8_t value) {
  controller(0x64, 0xD4);
  controller(0x60, value);
  return can_read() ? in8(0x60) : 0;
}

static void set_rate(uint8_t rate) {
  to_mouse(0xF3);
  to_mouse(rate);
}

// Asks for a wheel, then for five buttons (IntelliMouse and IntelliMouse Explorer).
void start_input(void) {
  for (int drained = 0; drained < 64 && in8(0x64) & 1; drained++) in8(0x60);
  controller(0x64, 0xA8);
  controller(0x64, 0x20);
  uint8_t command = can_read() ? in8(0x60) : 0x40;
  controller(0x64, 0x60);
  controller(0x60, (command & 0xCC) | 0x40);
  set_rate(200), set_rate(100), set_rate(80);
  set_rate(200), set_rate(200), set_rate(80);
  to_mouse(0xF2);
  uint8_t identity = can_read() ? in8(0x60) : 0;
  S.packet_size = identity == 3 || identity == 4 ? 4 : 3;
  set_rate(200);
  S.is_absolute = (uint8_t)start_vmware_pointer();
  to_mouse(0xF4);
  controller(0x64, 0x60);
  controller(0x60, (command & 0xCC) | 0x43);
  for (int tries = 0; tries < 1000 && in8(0x64) & 2; tries++) continue;
}

static void take_key(uint8_t code) {
  if (code == 0xFA) return; // an acknowledgement that came late
  tester_byte(code);
  if (code == 0xE0 || code == 0xE1) {
    S.extended = 1;
    return;
  }
  int is_extended = S.extended, is_up = code & 0x80, key = code & 0x7F;
  S.extended = 0;
  if (!is_extended && (key == 0x2A || key == 0x36)) {
    uint8_t bit = key == 0x2A ? 1 : 2;
    S.shift = is_up ? S.shift & ~bit : S.shift | bit;
    return;
  }
  if (is_up) return;
  if (key == 0x3A) S.caps ^= 1;
  if (key >= 0x3B && key < 0x3B + SCENES && !is_extended) S.next_scene = key - 0x3B;
  int character = 0;
  if (!is_extended && key < 58) character = S.shift ? shifted_keys[key] : plain_keys[key];
  if (is_extended && (key == 0x1C || key == 0x35)) character = plain_keys[key];
  int is_letter = (character | 32) >= 'a' && (character | 32) <= 'z';
  if (S.caps && is_letter) character ^= 32;
  if (!character || !S.windows) return;
  struct window *front = S.order[S.windows - 1];
  if (front->key) front->key(front, character);
}

void take_keys(void) {
  while (S.key_tail != MAIL->key_head) take_key(MAIL->keys[S.key_tail++]);
}

static void take_packet(void) {
  int first = S.packet[0], x = S.packet[1] - (first & 0x10 ? 256 : 0);
  int y = S.packet[2] - (first & 0x20 ? 256 : 0), wheel = 0, buttons = first & 7;
  // With bit 6 the last byte is the horizontal wheel's.
  if (S.packet_size == 4 && !(S.packet[3] & 0x40)) {
    wheel = (int8_t)(S.packet[3] << 4) >> 4;
    buttons |= (S.packet[3] & 0x30) >> 1;
  }
  pointer_moved(S.pointer_x + x, S.pointer_y - y, buttons, wheel);
}

void take_mouse(void) {
  int is_new = S.mouse_tail != MAIL->mouse_head;
  while (S.mouse_tail != MAIL->mouse_head) {
    uint8_t byte = MAIL->mouse[S.mouse_tail++];
    // Every packet's first byte has this bit.
    if (S.packet_bytes == 0 && !(byte & 8)) continue;
    S.packet[S.packet_bytes++] = byte;
    if (S.packet_bytes < S.packet_size) continue;
    S.packet_bytes = 0;
    if (!S.is_absolute) take_packet();
  }
  if (is_new && S.is_absolute) take_vmware_pointer();
}
