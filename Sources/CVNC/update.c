// Updates in the encodings that are sent most, made here and not by the library: Raw straight from
// the picture without a copy, Zlib and ZRLE. Tight and Hextile are the library's, but for what is
// noise, which nothing compresses in any encoding. CopyRect goes before everything else.
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
  STRIP = 64,            // rows that are encoded in one go: as many as a ZRLE tile has
  FLUSH_SIZE = 1 << 16,  // what is written at least in one go, but at the end
  ROWS_AT_ONCE = 256,    // rows of one writev
  NOISE_LEAST = 4096,    // pixels; what is less is not looked at for noise
  TIGHT_WIDEST = 2048,   // the widest rectangle of Tight
  TIGHT_STREAM = 3,      // the library's Tight uses the other three
  TIGHT_BAND = 128,      // rows that the library's Tight encodes in one go
};

void sender_free(struct sender *sender) {
  free(sender->out.data);
  free(sender->before.data);
  stream_free(&sender->zlib);
  stream_free(&sender->zrle);
  stream_free(&sender->tight);
  memset(sender, 0, sizeof *sender);
}

// Waits until the peer takes more; false where it did not for as long as it is borne with.
static bool wait_writable(struct cvnc_viewer *viewer) {
  struct pollfd entry = {.fd = viewer->client->sock, .events = POLLOUT};
  int ready;
  do ready = poll(&entry, 1, viewer->screen.maxClientWait);
  while (ready < 0 && errno == EINTR);
  return ready > 0 && !(entry.revents & (POLLERR | POLLNVAL));
}

static bool write_parts(struct cvnc_viewer *viewer, struct iovec *part, int count) {
  while (count) {
    struct msghdr message = {.msg_iov = part, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(viewer->client->sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_writable(viewer)) return false;
      continue;
    }
    while (count && (size_t)sent >= part->iov_len) {
      sent -= (ssize_t)part->iov_len;
      part++;
      count--;
    }
    if (count) {
      part->iov_base = (char *)part->iov_base + sent;
      part->iov_len -= (size_t)sent;
    }
  }
  return true;
}

static bool flush(struct cvnc_viewer *viewer) {
  struct bytes *out = &viewer->sender.out;
  struct iovec part = {out->data, out->size};
  if (out->size && !write_parts(viewer, &part, 1)) return false;
  out->size = 0;
  return true;
}

static bool put(struct cvnc_viewer *viewer, const void *data, size_t count) {
  uint8_t *to = bytes_room(&viewer->sender.out, count);
  if (!to) return false;
  memcpy(to, data, count);
  viewer->sender.out.size += count;
  return true;
}

static void put16(uint8_t *to, int value) {
  to[0] = (uint8_t)(value >> 8);
  to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value) {
  put16(to, (int)(value >> 16));
  put16(to + 2, (int)(value & 0xFFFF));
}

// A rectangle's header (RFC 6143, 7.6.1).
static bool put_header(struct cvnc_viewer *viewer, sraRect r, int32_t encoding) {
  uint8_t header[12];
  put16(header, r.x1);
  put16(header + 2, r.y1);
  put16(header + 4, r.x2 - r.x1);
  put16(header + 6, r.y2 - r.y1);
  put32(header + 8, (uint32_t)encoding);
  return put(viewer, header, sizeof header);
}

// 32-bit pixels of 8 bits a colour in the host's byte order, blue or red in the lowest byte.
static bool is_own_format(const rfbPixelFormat *format) {
  if (format->bitsPerPixel != 32 || format->depth != 24 || !format->trueColour ||
      format->bigEndian || format->redMax != 255 || format->greenMax != 255 ||
      format->blueMax != 255 || format->greenShift != 8)
    return false;
  return (format->redShift == 16 && format->blueShift == 0) ||
         (format->redShift == 0 && format->blueShift == 16);
}

static const uint32_t *frame_of(const struct cvnc_viewer *viewer) {
  return viewer->canvas ? viewer->canvas : viewer->pixels;
}

static struct area area_of(struct cvnc_viewer *viewer, sraRect r) {
  size_t stride = (size_t)viewer->screen.width;
  return (struct area){
      .pixels = frame_of(viewer) + (size_t)r.y1 * stride + (size_t)r.x1,
      .stride = stride,
      .width = r.x2 - r.x1,
      .height = r.y2 - r.y1,
      .swapped = viewer->client->format.redShift == 0,
  };
}

static void copy_row(uint32_t *to, const uint32_t *from, int width, bool swapped) {
  if (!swapped) {
    memcpy(to, from, (size_t)width * 4);
    return;
  }
  for (int x = 0; x < width; x++)
    to[x] = (from[x] & 0xFF) << 16 | (from[x] & 0xFF00) | (from[x] >> 16 & 0xFF);
}

// The area's pixels as the peer has them, one row after the other.
static bool gather(struct cvnc_viewer *viewer, struct bytes *into, const struct area *area) {
  rfbClientPtr client = viewer->client;
  size_t row = (size_t)area->width * (client->format.bitsPerPixel / 8);
  uint8_t *to = bytes_room(into, row * (size_t)area->height);
  if (!to) return false;
  if (!is_own_format(&client->format)) {
    client->translateFn(client->translateLookupTable, &viewer->screen.serverFormat,
                        &client->format, (char *)(uintptr_t)area->pixels, (char *)to,
                        (int)(area->stride * 4), area->width, area->height);
  } else {
    for (int y = 0; y < area->height; y++)
      copy_row((uint32_t *)(void *)(to + (size_t)y * row), area->pixels + (size_t)y * area->stride,
               area->width, area->swapped);
  }
  into->size += row * (size_t)area->height;
  return true;
}

// MARK: Raw

static bool send_raw(struct cvnc_viewer *viewer, sraRect r) {
  struct area area = area_of(viewer, r);
  if (!put_header(viewer, r, rfbEncodingRaw)) return false;
  size_t row = (size_t)area.width * 4;
  if (row * (size_t)area.height < FLUSH_SIZE || area.swapped ||
      !is_own_format(&viewer->client->format)) {
    for (int y = 0; y < area.height; y += STRIP) {
      struct area part = area;
      part.pixels += (size_t)y * area.stride;
      part.height = area.height - y < STRIP ? area.height - y : STRIP;
      if (!gather(viewer, &viewer->sender.out, &part)) return false;
      if (viewer->sender.out.size >= FLUSH_SIZE && !flush(viewer)) return false;
    }
    return true;
  }
  if (!flush(viewer)) return false;
  if ((size_t)area.width == area.stride) {
    struct iovec all = {(void *)(uintptr_t)area.pixels, row * (size_t)area.height};
    return write_parts(viewer, &all, 1);
  }
  struct iovec parts[ROWS_AT_ONCE];
  for (int y = 0; y < area.height;) {
    int count = 0;
    for (; count < ROWS_AT_ONCE && y < area.height; count++, y++)
      parts[count] = (struct iovec){(void *)(uintptr_t)(area.pixels + (size_t)y * area.stride), row};
    if (!write_parts(viewer, parts, count)) return false;
  }
  return true;
}

// MARK: Zlib and ZRLE

// Where in a pixel of this format ZRLE's pixels are, and how many bytes (RFC 6143, 7.7.5).
static int compact_pixel(const rfbPixelFormat *f, int *offset) {
  *offset = 0;
  if (f->bitsPerPixel != 32 || f->depth > 24) return f->bitsPerPixel / 8;
  uint64_t top = (uint64_t)f->redMax << f->redShift | (uint64_t)f->greenMax << f->greenShift |
                 (uint64_t)f->blueMax << f->blueShift;
  bool low = top < 1 << 24, high = f->redShift > 7 && f->greenShift > 7 && f->blueShift > 7;
  if (!low && !high) return 4;
  // The byte that is left out is the first one in memory, or the last.
  *offset = low == (f->bigEndian != 0);
  return 3;
}

// Tiles of plain pixels, for formats in which `zrle_tiles` does not count colours.
static bool plain_tiles(struct cvnc_viewer *viewer, struct bytes *out, const struct area *area) {
  int offset, size = compact_pixel(&viewer->client->format, &offset);
  size_t whole = viewer->client->format.bitsPerPixel / 8;
  struct bytes pixels = {0};
  bool good = true;
  for (int x = 0; good && x < area->width; x += STRIP) {
    struct area tile = *area;
    tile.pixels += x;
    tile.width = area->width - x < STRIP ? area->width - x : STRIP;
    pixels.size = 0;
    size_t count = (size_t)tile.width * (size_t)tile.height;
    good = gather(viewer, &pixels, &tile);
    uint8_t *to = good ? bytes_room(out, count * (size_t)size + 1) : NULL;
    if (!to) {
      good = false;
      break;
    }
    *to++ = 0;
    for (size_t i = 0; i < count; i++, to += size)
      memcpy(to, pixels.data + i * whole + offset, (size_t)size);
    out->size += count * (size_t)size + 1;
  }
  free(pixels.data);
  return good;
}

static bool send_zipped(struct cvnc_viewer *viewer, sraRect r, int32_t encoding) {
  struct sender *sender = &viewer->sender;
  struct area area = area_of(viewer, r);
  bool own = is_own_format(&viewer->client->format), noise = own && area_is_noise(&area);
  struct stream *stream = encoding == rfbEncodingZRLE ? &sender->zrle : &sender->zlib;
  sender->before.size = 0;
  bool made = encoding != rfbEncodingZRLE ? gather(viewer, &sender->before, &area)
              : own                       ? zrle_tiles(&sender->before, &area, noise)
                                          : plain_tiles(viewer, &sender->before, &area);
  if (!made) return false;
  if (!put_header(viewer, r, encoding) || !put(viewer, "\0\0\0\0", 4)) return false;
  size_t start = sender->out.size;
  int level = (int)viewer->client->zlibCompressLevel;
  const uint8_t *data = sender->before.data;
  if (noise ? !stream_store(stream, &sender->out, data, sender->before.size)
            : !stream_deflate(stream, &sender->out, data, sender->before.size, level < 1 ? 1 : level))
    return false;
  put32(sender->out.data + start - 4, (uint32_t)(sender->out.size - start));
  return true;
}

// MARK: Tight

// A rectangle of full-colour pixels, red first, in a stream that is not compressed ("basic
// compression" of Tight, without a filter).
static bool send_tight_noise(struct cvnc_viewer *viewer, sraRect r) {
  struct sender *sender = &viewer->sender;
  struct area area = area_of(viewer, r);
  size_t count = (size_t)area.width * (size_t)area.height;
  sender->before.size = 0;
  uint8_t *to = bytes_room(&sender->before, count * 3);
  if (!to) return false;
  for (int y = 0; y < area.height; y++) {
    const uint32_t *row = area.pixels + (size_t)y * area.stride;
    for (int x = 0; x < area.width; x++, to += 3) {
      to[0] = (uint8_t)(row[x] >> 16);
      to[1] = (uint8_t)(row[x] >> 8);
      to[2] = (uint8_t)row[x];
    }
  }
  uint8_t head[4] = {TIGHT_STREAM << 4};
  if (!put_header(viewer, r, rfbEncodingTight) || !put(viewer, head, sizeof head)) return false;
  size_t start = sender->out.size;
  if (!stream_store(&sender->tight, &sender->out, sender->before.data, count * 3)) return false;
  size_t size = sender->out.size - start;
  uint8_t *length = sender->out.data + start - 3;
  length[0] = (uint8_t)(size | 0x80);
  length[1] = (uint8_t)(size >> 7 | 0x80);
  length[2] = (uint8_t)(size >> 14);
  return true;
}

// The library's Tight reads pixels more than once, and garbles a whole rectangle where one changed in
// between: it gets a copy, at most TIGHT_BAND rows high. What it makes it writes by itself.
static bool send_tight(struct cvnc_viewer *viewer, sraRect r) {
  rfbScreenInfoPtr screen = &viewer->screen;
  size_t stride = (size_t)screen->width;
  struct bytes *before = &viewer->sender.before;
  before->size = 0;
  if (!flush(viewer) || !bytes_room(before, stride * 4 * (size_t)(r.y2 - r.y1))) return false;
  for (int y = r.y1; y < r.y2; y++)
    memcpy(before->data + ((size_t)(y - r.y1) * stride + (size_t)r.x1) * 4,
           frame_of(viewer) + (size_t)y * stride + r.x1, (size_t)(r.x2 - r.x1) * 4);
  char *frame = screen->frameBuffer;
  // The library counts rows from the top of the picture, and reads none but these.
  screen->frameBuffer = (char *)((uintptr_t)before->data - (size_t)r.y1 * stride * 4);
  bool sent = rfbSendRectEncodingTight(viewer->client, r.x1, r.y1, r.x2 - r.x1, r.y2 - r.y1);
  screen->frameBuffer = frame;
  return sent && rfbSendUpdateBuf(viewer->client);
}

static bool send_hextile(struct cvnc_viewer *viewer, sraRect r) {
  return flush(viewer) &&
         rfbSendRectEncodingHextile(viewer->client, r.x1, r.y1, r.x2 - r.x1, r.y2 - r.y1) &&
         rfbSendUpdateBuf(viewer->client);
}

// MARK: An update

// A part of an update that is encoded in one go.
struct part {
  sraRect r;
  bool noise;
};

struct parts {
  struct part *all;
  size_t count, capacity;
  uint32_t rects;  // rectangles that the peer will get
  bool open;       // they can't be counted before: the last one is marked
};

static bool add_part(struct parts *parts, sraRect r, bool noise) {
  if (parts->count == parts->capacity) {
    size_t capacity = parts->capacity * 2 + 64;
    struct part *all = realloc(parts->all, capacity * sizeof *all);
    if (!all) return false;
    parts->all = all;
    parts->capacity = capacity;
  }
  parts->all[parts->count++] = (struct part){r, noise};
  return true;
}

// Parts of one strip's height where `strips`, all of the rectangle otherwise.
static bool add_strips(struct parts *parts, sraRect r, bool strips) {
  int step = strips ? STRIP : r.y2 - r.y1;
  for (int y = r.y1; y < r.y2; y += step) {
    sraRect strip = {r.x1, y, r.x2, r.y2 - y < step ? r.y2 : y + step};
    if (!add_part(parts, strip, false)) return false;
    parts->rects++;
  }
  return true;
}

static bool add_for_library(struct cvnc_viewer *viewer, struct parts *parts, sraRect r) {
  bool tight = viewer->client->preferredEncoding == rfbEncodingTight;
  while (r.y1 < r.y2) {
    sraRect band = r;
    if (tight && r.y2 - r.y1 > TIGHT_BAND) band.y2 = r.y1 + TIGHT_BAND;
    int count = 1, width = band.x2 - band.x1, height = band.y2 - band.y1;
    if (tight) count = rfbNumCodedRectsTight(viewer->client, band.x1, band.y1, width, height);
    parts->rects += (uint32_t)count;
    parts->open |= count == 0;
    if (!add_part(parts, band, false)) return false;
    r.y1 = band.y2;
  }
  return true;
}

// Strips of noise by themselves, what is between them in one go.
static bool add_mixed(struct cvnc_viewer *viewer, struct parts *parts, sraRect r) {
  rfbClientPtr client = viewer->client;
  bool looked_at = (r.x2 - r.x1) * (r.y2 - r.y1) >= NOISE_LEAST &&
                   is_own_format(&client->format) &&
                   (client->preferredEncoding == rfbEncodingHextile ||
                    (r.x2 - r.x1 <= TIGHT_WIDEST && client->turboQualityLevel == -1));
  sraRect plain = r;
  plain.y2 = r.y1;
  for (int y = r.y1; y < r.y2; y += STRIP) {
    sraRect strip = {r.x1, y, r.x2, r.y2 - y < STRIP ? r.y2 : y + STRIP};
    struct area area = area_of(viewer, strip);
    if (!looked_at || !area_is_noise(&area)) {
      plain.y2 = strip.y2;
      continue;
    }
    if (!add_for_library(viewer, parts, plain) || !add_part(parts, strip, true)) return false;
    parts->rects++;
    plain.y1 = plain.y2 = strip.y2;
  }
  return add_for_library(viewer, parts, plain);
}

static bool plan(struct cvnc_viewer *viewer, sraRegionPtr region, struct parts *parts) {
  int encoding = viewer->client->preferredEncoding;
  bool good = true;
  sraRect r;
  sraRectangleIterator *rects = sraRgnGetIterator(region);
  while (good && sraRgnIteratorNext(rects, &r))
    good = encoding == rfbEncodingTight || encoding == rfbEncodingHextile
               ? add_mixed(viewer, parts, r)
               : add_strips(parts, r, encoding != rfbEncodingRaw && encoding != -1);
  sraRgnReleaseIterator(rects);
  return good;
}

static bool send_copy(struct cvnc_viewer *viewer, const struct copy *copy) {
  bool good = true;
  sraRect r;
  // In an order in which no rectangle takes what another one has overwritten.
  sraRectangleIterator *rects = sraRgnGetReverseIterator(copy->to, copy->dx > 0, copy->dy > 0);
  while (good && sraRgnIteratorNext(rects, &r)) {
    uint8_t source[4];
    put16(source, r.x1 - copy->dx);
    put16(source + 2, r.y1 - copy->dy);
    good = put_header(viewer, r, rfbEncodingCopyRect) && put(viewer, source, sizeof source);
  }
  sraRgnReleaseIterator(rects);
  return good;
}

static bool send_part(struct cvnc_viewer *viewer, struct part part) {
  switch (viewer->client->preferredEncoding) {
    case rfbEncodingTight:
      return part.noise ? send_tight_noise(viewer, part.r) : send_tight(viewer, part.r);
    case rfbEncodingHextile:
      // Every viewer knows Raw.
      return part.noise ? send_raw(viewer, part.r) : send_hextile(viewer, part.r);
    case rfbEncodingZlib:
    case rfbEncodingZRLE:
      return send_zipped(viewer, part.r, viewer->client->preferredEncoding);
    default: return send_raw(viewer, part.r);
  }
}

// The peer need not draw a cursor: the guest's pointer is in the picture. Told by a cursor of no size.
static bool takes_cursor(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  bool takes = client->enableCursorShapeUpdates && client->cursorWasChanged &&
               client->readyForSetColourMapEntries;
  if (takes) client->cursorWasChanged = FALSE;
  return takes;
}

static bool send_parts(struct cvnc_viewer *viewer, sraRegionPtr region,
                       const struct copies *copies) {
  struct parts parts = {0};
  bool good = plan(viewer, region, &parts), cursor = takes_cursor(viewer);
  uint32_t count = parts.rects + cursor;
  for (int i = 0; i < copies->count; i++) count += (uint32_t)sraRgnCountRects(copies->all[i].to);
  uint8_t header[4] = {rfbFramebufferUpdate};
  put16(header + 2, parts.open || count > 0xFFFE ? 0xFFFF : (int)count);
  good = good && put(viewer, header, sizeof header);
  if (good && cursor) {
    bool rich = viewer->client->useRichCursorEncoding;
    good = put_header(viewer, (sraRect){0, 0, 0, 0},
                      rich ? (int32_t)rfbEncodingRichCursor : (int32_t)rfbEncodingXCursor);
  }
  for (int i = 0; good && i < copies->count; i++) good = send_copy(viewer, &copies->all[i]);
  for (size_t i = 0; good && i < parts.count; i++) {
    good = send_part(viewer, parts.all[i]);
    if (good && viewer->sender.out.size >= FLUSH_SIZE) good = flush(viewer);
  }
  if (good && parts.open) good = put_header(viewer, (sraRect){0, 0, 0, 0}, rfbEncodingLastRect);
  free(parts.all);
  return good && flush(viewer);
}

// Whether the peer asked for all that the copies change.
static bool copies_are_asked_for(struct cvnc_viewer *viewer) {
  bool asked = true;
  for (int i = 0; asked && i < viewer->copies.count; i++) {
    sraRegionPtr rest = sraRgnCreateRgn(viewer->copies.all[i].to);
    asked = !sraRgnSubtract(rest, viewer->client->requestedRegion);
    sraRgnDestroy(rest);
  }
  return asked;
}

// What the peer waits for and has not got; it counts as sent from now on.
static void take_regions(struct cvnc_viewer *viewer, sraRegionPtr region, struct copies *copies) {
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  if (!client->useCopyRect || viewer->canvas || !copies_are_asked_for(viewer)) drop_copies(viewer);
  clip_regions(viewer);
  *copies = viewer->copies;
  viewer->copies.count = 0;
  sraRgnOr(region, client->modifiedRegion);
  sraRgnAnd(region, client->requestedRegion);
  sraRgnSubtract(client->modifiedRegion, region);
  sraRgnMakeEmpty(client->requestedRegion);
  UNLOCK(client->updateMutex);
}

bool send_own(struct cvnc_viewer *viewer) {
  sraRegionPtr region = sraRgnCreate();
  struct copies copies;
  take_regions(viewer, region, &copies);
  if (viewer->canvas) fill_canvas(viewer, region);
  LOCK(viewer->client->sendMutex);
  bool sent = send_parts(viewer, region, &copies);
  UNLOCK(viewer->client->sendMutex);
  sraRgnDestroy(region);
  copies_clear(&copies);
  return sent;
}

bool can_send_own(struct cvnc_viewer *viewer) {
  switch (viewer->client->preferredEncoding) {
    case -1:
    case rfbEncodingRaw:
    case rfbEncodingZlib:
    case rfbEncodingZRLE:
    case rfbEncodingHextile:
    case rfbEncodingTight: return true;
    default: return false;
  }
}
