#include "guests.h"

#include <string.h>

// Every guest: its file's name and what it is for.
#define GUESTS(each) \
  each(demo, "a 64-bit picture with a text pad that answers keys and a pointer") \
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

#define ENTER(label, purpose) {#label, purpose, guest_##label##_start, guest_##label##_end},
static const struct guest guests[] = {GUESTS(ENTER)};

size_t guest_count(void) { return sizeof guests / sizeof guests[0]; }

const struct guest *guest_at(size_t index) { return index < guest_count() ? &guests[index] : NULL; }

const struct guest *guest_find(const char *name) {
  for (size_t index = 0; index < guest_count(); index++)
    if (strcmp(guests[index].name, name) == 0) return guest_at(index);
  return NULL;
}
