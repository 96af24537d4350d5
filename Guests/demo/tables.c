// The demo desktop's constants: scan codes, shapes, colours.
#define DEMO_CONSTANTS
#include "demo.h"

// Scan codes 0 to 57 without and with Shift.
const char plain_keys[59] =
    "\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
const char shifted_keys[59] =
    "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

// Names of keys: the code (with bit 7 for those behind E0h), the name, a zero byte; FFh ends.
const char key_names[] =
    "\001Escape\0" "\016Backspace\0" "\017Tab\0" "\034Enter\0" "\035Control\0" "\052Shift\0"
    "\066Right Shift\0" "\067Keypad *\0" "\070Alt\0" "\071Space\0" "\072Caps Lock\0" "\073F1\0"
    "\074F2\0" "\075F3\0" "\076F4\0" "\077F5\0" "\100F6\0" "\101F7\0" "\102F8\0" "\103F9\0"
    "\104F10\0" "\105Num Lock\0" "\106Scroll Lock\0" "\107Keypad 7\0" "\110Keypad 8\0"
    "\111Keypad 9\0" "\112Keypad -\0" "\113Keypad 4\0" "\114Keypad 5\0" "\115Keypad 6\0"
    "\116Keypad +\0" "\117Keypad 1\0" "\120Keypad 2\0" "\121Keypad 3\0" "\122Keypad 0\0"
    "\123Keypad .\0" "\126<>\0" "\127F11\0" "\130F12\0" "\234Keypad Enter\0"
    "\235Right Control\0" "\252Print\0" "\265Keypad /\0" "\267Print\0" "\270AltGr\0" "\307Home\0"
    "\310Up\0" "\311Page Up\0" "\313Left\0" "\315Right\0" "\317End\0" "\320Down\0"
    "\321Page Down\0" "\322Insert\0" "\323Delete\0" "\333Super\0" "\334Right Super\0"
    "\335Menu\0" "\377";

// The arrow in 16ths of a pixel: its dark edge and its filling.
const int16_t pointer_outline[14] = {0, 0, 0, 296, 68, 234, 114, 340, 168, 316, 122, 214, 212, 214};
const int16_t pointer_filling[14] = {20, 48, 20, 252, 74, 200, 122, 312, 140, 304, 94, 194, 164, 194};
const int16_t boat_hull[8] = {-320, 0, 340, 0, 240, 150, -250, 150};
const int16_t boat_sail[6] = {-16, -640, -16, -40, -300, -40};
const int16_t boat_jib[6] = {32, -600, 32, -40, 270, -40};
const uint32_t paint_colors[6] = {
  COLOR_INK, COLOR_ROSE, COLOR_AMBER, 0x5FAE6B, 0x3F9FC4, 0x8A76E0,
};

const char welcome[] =
    "Welcome aboard.\r\rThis desktop is a guest of Porthole's own: 64-bit\r"
    "code in ring 3, and drivers for just this PC.\r\r"
    "Type here. Drag the windows by their titles, draw\r"
    "on the canvas, ask the terminal for help.\r"
    "F1 to F5 change the scene.\r\r";
