#include "guests.h"

#include <string.h>

#include "demo/layout.h"

// Every guest: its file's name and what it is for.
#define GUESTS(each) \
  each(demo, "a desktop with windows, in 64-bit mode; demo:SCENE@1280x800 begins otherwise") \
  each(services, "calls every BIOS service and reports on the serial port") \
  each(devices, "drives every device by its ports and reports on the serial port") \
  each(disks, "reads and writes disks, a CD and a floppy by their controllers, and by INT 13h") \
  each(diskbench, "times 8 MiB of the first hard disk by PIO and by DMA") \
  each(vgabench, "times fills and scrolls of the planar VGA") \
  each(flat32, "a test card in unpaged 32-bit protected mode") \
  each(extender, "goes to protected mode and back by INT 15h and a reset") \
  each(giveup, "leaves the booting to the next device") \
  each(triplefault, "gives up in protected mode, once") \
  each(fwait, "executes FWAIT in real mode") \
  each(spin, "spins with interrupts off") \
  each(smp, "starts every processor and lets them count and interrupt each other") \
  each(hammer, "reads and writes ports at random") \
  each(firstlight, "a boot sector that draws one 1024x768 picture and halts") \
  each(echo, "a boot sector that repaints a 320x200 block at every key") \
  each(mixes, "measures instructions a second, by kind and by mode") \
  each(latency, "measures how long interrupts take") \
  each(button, "switches the machine off when its power button is pressed") \
  each(motion, "noise, or a desktop that moves, in 64-bit mode: what the display is measured by") \
  each(pulse, "a boot sector that repaints a line once a second and says so on the serial port")

#define DECLARE(label, purpose) extern const uint8_t guest_##label##_start[], guest_##label##_end[];
GUESTS(DECLARE)

// The demo desktop's code and constants, which stand behind its boot sectors.
extern const uint8_t __start_guest_demo[] __attribute__((visibility("hidden")));
extern const uint8_t __stop_guest_demo[] __attribute__((visibility("hidden")));
extern void demo_main(void) __attribute__((visibility("hidden")));

#define ENTER(label, purpose) {#label, purpose, guest_##label##_start, guest_##label##_end},
static const struct guest guests[] = {GUESTS(ENTER)};

size_t guest_count(void) { return sizeof guests / sizeof guests[0]; }

const struct guest *guest_at(size_t index) { return index < guest_count() ? &guests[index] : NULL; }

const struct guest *guest_find(const char *name) {
  for (size_t index = 0; index < guest_count(); index++)
    if (strcmp(guests[index].name, name) == 0) return guest_at(index);
  return NULL;
}

static int is_demo(const struct guest *guest) { return guest->start == guest_demo_start; }

static size_t whole_sectors(size_t bytes) { return (bytes + 511) / 512 * 512; }

size_t guest_size(const struct guest *guest) {
  size_t size = (size_t)(guest->end - guest->start);
  if (is_demo(guest)) size += (size_t)(__stop_guest_demo - __start_guest_demo);
  return whole_sectors(size);
}

const char *guest_scene(const struct guest *guest, unsigned index) {
  static const char *const names[SCENES] = {"desktop", "still", "drag", "scroll", "noise"};
  return is_demo(guest) && index < SCENES ? names[index] : NULL;
}

void guest_copy(const struct guest *guest, unsigned scene, unsigned width, unsigned height,
                uint8_t *image) {
  size_t boot = (size_t)(guest->end - guest->start);
  memset(image, 0, guest_size(guest));
  memcpy(image, guest->start, boot);
  if (!is_demo(guest)) return;
  memcpy(image + boot, __start_guest_demo, (size_t)(__stop_guest_demo - __start_guest_demo));
  struct boot_header header = {
      .image_sectors = (uint32_t)(guest_size(guest) / 512),
      .entry = (uint32_t)((const uint8_t *)demo_main - __start_guest_demo),
      .scene = scene,
      .width = width,
      .height = height,
  };
  memcpy(image + DEMO_HEADER, &header, sizeof header);
}
