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
  bool made;   // `z` is initialised
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
  // The library has begun its own stream of the encoding.
  bool library_zlib, library_zrle;
};

void sender_free(struct sender *sender);

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
};

// Whether `send_own` serves the encoding and the pixel format that the peer asked for. Where it does
// not, the library does.
bool can_send_own(struct cvnc_viewer *viewer);
// Encodes and writes one update of what changed and was asked for. Returns false where the peer is
// lost.
bool send_own(struct cvnc_viewer *viewer);
