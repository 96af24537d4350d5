// What the parts of this shim share. Not for Swift.
#pragma once
#include "cvnc.h"

#include <rfb/rfb.h>
#include <rfb/rfbregion.h>
#include <zlib.h>

// Bytes that grow.
struct bytes {
  uint8_t *data;
  size_t size, capacity;
};

// Room for `count` more bytes, or NULL where memory ran out. They count once `size` is raised.
uint8_t *bytes_room(struct bytes *bytes, size_t count);

// A zlib stream without an end (RFC 1950, 1951) that goes on from one rectangle to the next. What
// can't be compressed goes into it as it is, which costs next to nothing.
struct stream {
  z_stream z;
  bool made;   // `z` is initialised, for `level`
  int level;
  bool begun;  // the stream's header was given
  bool stale;  // the peer's history is not `z`'s: nothing may refer to what was before
};

void stream_free(struct stream *stream);
// Appends `count` bytes, compressed, up to a byte boundary from which a peer has all of them.
bool stream_deflate(struct stream *stream, struct bytes *out, const uint8_t *data, size_t count,
                    int level);
// Appends `count` bytes as they are.
bool stream_store(struct stream *stream, struct bytes *out, const uint8_t *data, size_t count);

// A part of a picture of 32-bit pixels, `stride` of them from one row to the next.
struct area {
  const uint32_t *pixels;
  size_t stride;
  int width, height;
  bool swapped;  // the peer wants red in the lowest byte, not blue
};

// Whether the colours are so many and so random that compressing them would be for nothing: told
// from about a thousand of them.
bool area_is_noise(const struct area *area);
// The area's pixels as ZRLE tiles (RFC 6143, 7.7.6), not compressed yet.
bool zrle_tiles(struct bytes *out, const struct area *area, bool noise);

// The end of one connection, and what its updates are made with.
struct sender {
  struct bytes out;     // what was encoded and not written yet
  struct bytes before;  // what is about to be compressed
  struct stream zlib, zrle, tight;
};

void sender_free(struct sender *sender);

// Copies that were not sent yet, oldest first. The peer has the picture once it has made all of them,
// but for what the library's modifiedRegion says.
enum { MOST_COPIES = 8 };
struct copies {
  struct copy {
    sraRegionPtr to;
    int dx, dy;
  } all[MOST_COPIES];
  int count;
};

void copies_clear(struct copies *copies);

struct cvnc_viewer {
  rfbScreenInfo screen;
  rfbClientPtr client;
  struct cvnc_handlers handlers;
  char name[128];
  // The picture, and where it does not have the size the peer knows, the copy that has.
  const uint32_t *pixels;
  int width, height;
  uint32_t *canvas;
  struct sender sender;
  struct copies copies;  // guarded by the client's updateMutex
  struct cvnc_rect continuous;  // likewise
};

// Makes changes like others of the copies that were not sent yet. The updateMutex is held.
void drop_copies(struct cvnc_viewer *viewer);
// Cuts what changed and what was asked for to the picture: a request or a mark from before a change of
// size may reach beyond it. The updateMutex is held, and until the regions are used.
void clip_regions(struct cvnc_viewer *viewer);
// Copies the parts of the picture that are about to be sent into the copy of the peer's size.
void fill_canvas(struct cvnc_viewer *viewer, sraRegionPtr region);

// Whether `send_own` serves the encoding that the peer asked for. Where it does not, the library does.
// An encoding with compression that goes on from update to update is served by one of both only.
bool can_send_own(struct cvnc_viewer *viewer);
// Encodes and writes one update of what changed and was asked for. Returns false where the peer is
// lost.
bool send_own(struct cvnc_viewer *viewer);
