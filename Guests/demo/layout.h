// What the demo desktop and the program that carries it both know.
#pragma once

// Where the boot sector has its header.
#define DEMO_HEADER 4

#ifndef __ASSEMBLER__
#include <stdint.h>

struct boot_header {
  uint32_t image_sectors; // the boot sector counts
  uint32_t entry;         // demo_main's distance from the section's start
  uint32_t scene;
  uint32_t kilobytes;     // memory above 1 MiB, which the boot sector fills in
  uint32_t width, height; // of the screen; 0 where the monitor says
};

enum { SCENE_DESKTOP, SCENE_STILL, SCENE_DRAG, SCENE_SCROLL, SCENE_NOISE, SCENES };
#endif
