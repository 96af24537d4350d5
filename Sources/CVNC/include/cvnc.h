// C shim for Display: one viewer of libvncserver, driven by threads of our own.
//
// Every viewer has a screen structure of its own inside the library, so no lock of the library is
// shared between viewers. See the functions for which thread may call them:
//   input  - the viewer's thread that reads the socket
//   output - the viewer's thread that encodes and writes
//   any    - every thread, as long as the viewer exists; never waits for the viewer's peer
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cvnc_viewer;

struct cvnc_rect {
  int32_t x, y, width, height;  // pixels
};

// Called on the viewer's input thread.
struct cvnc_handlers {
  void *context;
  void (*key)(void *context, uint32_t keysym, bool pressed);
  void (*pointer)(void *context, uint8_t buttons, int32_t x, int32_t y);
  // The peer would like another size. Returns the status that it is told (ExtendedDesktopSize of the
  // community's RFB protocol document).
  int (*resize)(void *context, int32_t width, int32_t height, int32_t screens);
};

enum cvnc_state {
  CVNC_STARTING,  // ClientInit is yet to come
  CVNC_NORMAL,
  CVNC_OVER,  // the library gave the viewer up
};

// The highest descriptor plus one that the library's select() can take.
enum { CVNC_DESCRIPTOR_LIMIT = 1000 };

// Quiets the library and prepares what all viewers share. Any thread, any number of times.
void cvnc_prepare(void);

// Takes over a connected, non-blocking socket whose security handshake is done (RFC 6143, 7.1.1 to
// 7.1.3): what comes next on it is ClientInit. `pixels` (0x00RRGGBB, rows without a gap) stay valid
// until cvnc_show is given others, or the end. The screen has no cursor of its own.
// `wait_ms` is how long the peer may neither read nor complete a message before it is dropped.
// Returns NULL where the descriptor is too high or memory ran out; the socket is then still open.
struct cvnc_viewer *cvnc_create(int socket, int protocol_minor, const uint32_t *pixels, int width,
                                int height, const char *name, int wait_ms,
                                struct cvnc_handlers handlers);
// Closes the socket and frees everything. No other call may be under way.
void cvnc_destroy(struct cvnc_viewer *viewer);

// input: reads and acts on one message; waits for the rest of a message that has begun.
void cvnc_process(struct cvnc_viewer *viewer);
// input: holds the compression levels that the peer asked for within what is worth its time.
void cvnc_limit_effort(struct cvnc_viewer *viewer);

// any
enum cvnc_state cvnc_state(struct cvnc_viewer *viewer);
// any: the peer asked for an update that it has not got yet.
bool cvnc_waiting(struct cvnc_viewer *viewer);
// any: the peer asked for an update, and there is something to send in it.
bool cvnc_pending(struct cvnc_viewer *viewer);
// any: the part of the picture of which cvnc_ask_again asks for updates; none where it has no width.
void cvnc_continue(struct cvnc_viewer *viewer, struct cvnc_rect area);
// any: as if the peer had asked for an update of that part.
void cvnc_ask_again(struct cvnc_viewer *viewer);
// any: pixels in these rectangles changed. May reach beyond the picture.
void cvnc_mark(struct cvnc_viewer *viewer, const struct cvnc_rect *rects, size_t count);
// any: the pixels in `to` are now what those `dx` to the left and `dy` above it were. Marks of the
// same change come after it.
void cvnc_copy(struct cvnc_viewer *viewer, struct cvnc_rect to, int dx, int dy);

// output: makes `pixels` the picture. A peer that can follow is told of another size; for one that
// can't, the picture is cut or padded with black to the size that it knows.
// Returns false where memory ran out; the picture is then the one before.
bool cvnc_show(struct cvnc_viewer *viewer, const uint32_t *pixels, int width, int height);
// output: encodes and writes one update if one is pending. Returns false where the peer is lost.
bool cvnc_send(struct cvnc_viewer *viewer);

// output: writes a whole message of our own. Returns false where the peer is lost.
bool cvnc_write(struct cvnc_viewer *viewer, const uint8_t *bytes, size_t count);

// Unpacks a zlib stream into at most `capacity` bytes. Returns how many there are; a damaged or longer
// stream ends where it can't go on.
size_t cvnc_inflate(const uint8_t *packed, size_t count, uint8_t *bytes, size_t capacity);

// A non-blocking eventfd, or -1 with errno set.
int cvnc_event(void);

// Whether the colours of a picture are so many and so random that compressing them would be for
// nothing: told from about a thousand of them.
bool cvnc_is_noise(const uint32_t *pixels, int width, int height);

// Turns a 16-byte challenge into the response that knows `password`, in place (RFC 6143, 7.2.2).
void cvnc_encrypt(uint8_t challenge[16], const char *password);
