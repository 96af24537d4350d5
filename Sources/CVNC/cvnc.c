#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static rfbScreenInfo template_screen;

static void no_log(const char *format, ...) { (void)format; }

static void key_event(rfbBool down, rfbKeySym keysym, rfbClientPtr client) {
  struct cvnc_viewer *viewer = client->clientData;
  viewer->handlers.key(viewer->handlers.context, keysym, down != 0);
}

static void pointer_event(int buttons, int x, int y, rfbClientPtr client) {
  struct cvnc_viewer *viewer = client->clientData;
  viewer->handlers.pointer(viewer->handlers.context, (uint8_t)buttons, x, y);
}

static int desktop_size(int width, int height, int screens, struct rfbExtDesktopScreen *screen,
                        rfbClientPtr client) {
  (void)screen;
  struct cvnc_viewer *viewer = client->clientData;
  return viewer->handlers.resize(viewer->handlers.context, width, height, screens);
}

// Pixels are 0x00RRGGBB whatever the host's byte order; the library's default is 0x00BBGGRR.
static void set_format(rfbScreenInfoPtr screen) {
  screen->serverFormat.depth = 24;
  screen->serverFormat.redShift = 16;
  screen->serverFormat.greenShift = 8;
  screen->serverFormat.blueShift = 0;
}

// rfbGetScreen initialises a lock of the whole process anew at each call, so it is called once and
// viewers get copies of what it made.
static void prepare(void) {
  rfbLog = no_log;
  rfbErr = no_log;
  rfbScreenInfoPtr made = rfbGetScreen(NULL, NULL, 4, 4, 8, 3, 4);
  if (!made) return;
  made->cursor = NULL;
  made->alwaysShared = TRUE;
  // The peer's socket is closed by cvnc_destroy alone, as in the library's threaded mode.
  made->backgroundLoop = TRUE;
  made->deferPtrUpdateTime = 0;
  made->kbdAddEvent = key_event;
  made->ptrAddEvent = pointer_event;
  made->setDesktopSizeHook = desktop_size;
  set_format(made);
  memcpy(&template_screen, made, sizeof template_screen);
  free(made);
  // Initialises the lock of the extension list, which the library does on first use.
  rfbGetExtensionIterator();
  rfbReleaseExtensionIterator();
}

void cvnc_prepare(void) { pthread_once(&prepared, prepare); }

// rfbNewClient waits up to 100 ms to learn whether its peer is a web browser, and greets it. Our
// peer was greeted already: the library gets a stand-in that looks like a plain viewer.
static rfbClientPtr new_client(rfbScreenInfoPtr screen) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return NULL;
  rfbClientPtr client = NULL;
  if (pair[0] < CVNC_DESCRIPTOR_LIMIT && send(pair[1], "RFB ", 4, MSG_NOSIGNAL) == 4)
    client = rfbNewClient(screen, pair[0]);
  if (client || pair[0] >= CVNC_DESCRIPTOR_LIMIT) close(pair[0]);
  close(pair[1]);
  return client;
}

struct cvnc_viewer *cvnc_create(int socket, int protocol_minor, const uint32_t *pixels, int width,
                                int height, const char *name, int wait_ms,
                                struct cvnc_handlers handlers) {
  cvnc_prepare();
  if (socket >= CVNC_DESCRIPTOR_LIMIT || template_screen.bitsPerPixel == 0) return NULL;
  struct cvnc_viewer *viewer = calloc(1, sizeof *viewer);
  if (!viewer) return NULL;
  memcpy(&viewer->screen, &template_screen, sizeof viewer->screen);
  strncpy(viewer->name, name, sizeof viewer->name - 1);
  viewer->handlers = handlers;
  viewer->pixels = pixels;
  viewer->width = width;
  viewer->height = height;
  rfbScreenInfoPtr screen = &viewer->screen;
  pthread_mutex_init(&screen->cursorMutex, NULL);
  screen->desktopName = viewer->name;
  screen->maxClientWait = wait_ms;
  screen->width = width;
  screen->height = height;
  screen->paddedWidthInBytes = width * 4;
  screen->sizeInBytes = width * height * 4;
  screen->frameBuffer = (char *)pixels;
  rfbClientPtr client = new_client(screen);
  if (!client) {
    pthread_mutex_destroy(&screen->cursorMutex);
    free(viewer);
    return NULL;
  }
  client->clientData = viewer;
  client->sock = socket;
  client->protocolMajorVersion = 3;
  client->protocolMinorVersion = protocol_minor;
  client->state = RFB_INITIALISATION;
  viewer->client = client;
  return viewer;
}

void cvnc_destroy(struct cvnc_viewer *viewer) {
  rfbClientConnectionGone(viewer->client);
  pthread_mutex_destroy(&viewer->screen.cursorMutex);
  free(viewer->canvas);
  sender_free(&viewer->sender);
  copies_clear(&viewer->copies);
  free(viewer);
}

void cvnc_process(struct cvnc_viewer *viewer) { rfbProcessClientMessage(viewer->client); }

// Higher levels cost about twice the time for a tenth fewer bytes.
void cvnc_limit_effort(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  if (client->tightCompressLevel > 2) client->tightCompressLevel = 2;
  if (client->zlibCompressLevel > 3) client->zlibCompressLevel = 3;
  // There is no cursor whose place could be told.
  client->enableCursorPosUpdates = FALSE;
}

enum cvnc_state cvnc_state(struct cvnc_viewer *viewer) {
  switch (viewer->client->state) {
    case RFB_NORMAL: return CVNC_NORMAL;
    case RFB_SHUTDOWN: return CVNC_OVER;
    default: return CVNC_STARTING;
  }
}

bool cvnc_waiting(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  bool waiting = !sraRgnEmpty(client->requestedRegion);
  UNLOCK(client->updateMutex);
  return waiting;
}

static bool meets_request(rfbClientPtr client, sraRegionPtr region) {
  if (sraRgnEmpty(region)) return false;
  sraRegionPtr both = sraRgnCreateRgn(region);
  bool meets = sraRgnAnd(both, client->requestedRegion);
  sraRgnDestroy(both);
  return meets;
}

static bool copies_meet_request(struct cvnc_viewer *viewer) {
  for (int i = 0; i < viewer->copies.count; i++)
    if (meets_request(viewer->client, viewer->copies.all[i].to)) return true;
  return false;
}

bool cvnc_pending(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  bool pending = false;
  if (!sraRgnEmpty(client->requestedRegion)) {
    // The second: a peer that could not follow a change of size has learnt to.
    pending = (client->useNewFBSize && client->newFBSizePending) ||
              (client->useNewFBSize && viewer->canvas) ||
              (client->enableCursorShapeUpdates && client->cursorWasChanged &&
               client->readyForSetColourMapEntries) ||
              meets_request(client, client->modifiedRegion) ||
              copies_meet_request(viewer);
  }
  UNLOCK(client->updateMutex);
  return pending;
}

void cvnc_mark(struct cvnc_viewer *viewer, const struct cvnc_rect *rects, size_t count) {
  sraRegionPtr region = sraRgnCreate();
  for (size_t i = 0; i < count; i++) {
    const struct cvnc_rect *r = &rects[i];
    if (r->width <= 0 || r->height <= 0) continue;
    sraRegionPtr one = sraRgnCreateRect(r->x, r->y, r->x + r->width, r->y + r->height);
    sraRgnOr(region, one);
    sraRgnDestroy(one);
  }
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  sraRgnOr(client->modifiedRegion, region);
  UNLOCK(client->updateMutex);
  sraRgnDestroy(region);
}

void cvnc_continue(struct cvnc_viewer *viewer, struct cvnc_rect area) {
  LOCK(viewer->client->updateMutex);
  viewer->continuous = area;
  UNLOCK(viewer->client->updateMutex);
}

void cvnc_ask_again(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  struct cvnc_rect area = viewer->continuous;
  if (area.width > 0 && area.height > 0) {
    sraRegionPtr region =
        sraRgnCreateRect(area.x, area.y, area.x + area.width, area.y + area.height);
    sraRgnOr(client->requestedRegion, region);
    sraRgnDestroy(region);
  }
  UNLOCK(client->updateMutex);
}

void copies_clear(struct copies *copies) {
  while (copies->count) sraRgnDestroy(copies->all[--copies->count].to);
}

void drop_copies(struct cvnc_viewer *viewer) {
  for (int i = 0; i < viewer->copies.count; i++)
    sraRgnOr(viewer->client->modifiedRegion, viewer->copies.all[i].to);
  copies_clear(&viewer->copies);
}

// Notes a copy to `target`, which is given away. The updateMutex is held.
static void add_copy(struct cvnc_viewer *viewer, sraRegionPtr target, int dx, int dy) {
  sraRegionPtr modified = viewer->client->modifiedRegion;
  // What the peer lacks where the copy comes from, it lacks where the copy goes to as well.
  sraRegionPtr lacking = sraRgnCreateRgn(target);
  sraRgnOffset(lacking, -dx, -dy);
  sraRgnAnd(lacking, modified);
  sraRgnOffset(lacking, dx, dy);
  sraRgnSubtract(modified, target);
  sraRgnOr(modified, lacking);
  sraRgnSubtract(target, lacking);
  sraRgnDestroy(lacking);
  viewer->copies.all[viewer->copies.count++] = (struct copy){target, dx, dy};
}

void cvnc_copy(struct cvnc_viewer *viewer, struct cvnc_rect to, int dx, int dy) {
  rfbClientPtr client = viewer->client;
  sraRegionPtr target = sraRgnCreateRect(to.x, to.y, to.x + to.width, to.y + to.height);
  LOCK(client->updateMutex);
  if (viewer->copies.count == MOST_COPIES) drop_copies(viewer);
  if (client->useCopyRect) {
    add_copy(viewer, target, dx, dy);
  } else {
    sraRgnOr(client->modifiedRegion, target);
    sraRgnDestroy(target);
  }
  UNLOCK(client->updateMutex);
}

static void mark_all(struct cvnc_viewer *viewer) {
  struct cvnc_rect all = {0, 0, viewer->screen.width, viewer->screen.height};
  cvnc_mark(viewer, &all, 1);
}

// Gives the library a picture of another size, and the peer the news of it.
static void change_size(struct cvnc_viewer *viewer) {
  rfbScreenInfoPtr screen = &viewer->screen;
  rfbNewFramebuffer(screen, (char *)viewer->pixels, viewer->width, viewer->height, 8, 3, 4);
  screen->sizeInBytes = viewer->width * viewer->height * 4;
  set_format(screen);
  screen->setTranslateFunction(viewer->client);
}

bool cvnc_show(struct cvnc_viewer *viewer, const uint32_t *pixels, int width, int height) {
  rfbScreenInfoPtr screen = &viewer->screen;
  bool fits = width == screen->width && height == screen->height;
  bool moved = pixels != viewer->pixels || width != viewer->width || height != viewer->height;
  if (!moved && (!viewer->canvas || !viewer->client->useNewFBSize)) return true;
  if (!fits && !viewer->client->useNewFBSize && !viewer->canvas) {
    viewer->canvas = calloc((size_t)screen->width * (size_t)screen->height, 4);
    if (!viewer->canvas) return false;
  }
  viewer->pixels = pixels;
  viewer->width = width;
  viewer->height = height;
  // All of the picture will be sent.
  LOCK(viewer->client->updateMutex);
  copies_clear(&viewer->copies);
  UNLOCK(viewer->client->updateMutex);
  if (fits || viewer->client->useNewFBSize) {
    if (fits) {
      screen->frameBuffer = (char *)pixels;
      mark_all(viewer);
    } else {
      change_size(viewer);
    }
    free(viewer->canvas);
    viewer->canvas = NULL;
    return true;
  }
  memset(viewer->canvas, 0, (size_t)screen->width * (size_t)screen->height * 4);
  screen->frameBuffer = (char *)viewer->canvas;
  mark_all(viewer);
  return true;
}

static int smaller(int a, int b) { return a < b ? a : b; }

void fill_canvas(struct cvnc_viewer *viewer, sraRegionPtr region) {
  int stride = viewer->screen.width;
  sraRect r;
  sraRectangleIterator *rects = sraRgnGetIterator(region);
  while (sraRgnIteratorNext(rects, &r)) {
    int right = smaller(r.x2, viewer->width), bottom = smaller(r.y2, viewer->height);
    if (right <= r.x1) continue;
    for (int y = r.y1; y < bottom; y++)
      memcpy(viewer->canvas + (size_t)y * stride + r.x1,
             viewer->pixels + (size_t)y * viewer->width + r.x1, (size_t)(right - r.x1) * 4);
  }
  sraRgnReleaseIterator(rects);
}

void clip_regions(struct cvnc_viewer *viewer) {
  sraRegionPtr bounds = sraRgnCreateRect(0, 0, viewer->screen.width, viewer->screen.height);
  sraRgnAnd(viewer->client->modifiedRegion, bounds);
  sraRgnAnd(viewer->client->requestedRegion, bounds);
  sraRgnDestroy(bounds);
}

// An update by the library.
static bool send_by_library(struct cvnc_viewer *viewer) {
  rfbClientPtr client = viewer->client;
  LOCK(client->updateMutex);
  drop_copies(viewer);
  clip_regions(viewer);
  sraRegionPtr region = sraRgnCreateRgn(client->modifiedRegion);
  UNLOCK(client->updateMutex);
  if (viewer->canvas) fill_canvas(viewer, region);
  LOCK(client->sendMutex);
  bool sent = rfbSendFramebufferUpdate(client, region);
  UNLOCK(client->sendMutex);
  sraRgnDestroy(region);
  return sent;
}

bool cvnc_send(struct cvnc_viewer *viewer) {
  if (!cvnc_pending(viewer)) return true;
  rfbClientPtr client = viewer->client;
  // An update of the library's with another size says nothing but that.
  bool own = can_send_own(viewer) && !(client->useNewFBSize && client->newFBSizePending);
  bool sent = own ? send_own(viewer) : send_by_library(viewer);
  return sent && client->state == RFB_NORMAL;
}

bool cvnc_write(struct cvnc_viewer *viewer, const uint8_t *bytes, size_t count) {
  rfbClientPtr client = viewer->client;
  LOCK(client->sendMutex);
  bool written = rfbWriteExact(client, (const char *)bytes, (int)count) > 0;
  UNLOCK(client->sendMutex);
  return written;
}

size_t cvnc_inflate(const uint8_t *packed, size_t count, uint8_t *bytes, size_t capacity) {
  z_stream stream = {
      .next_in = (Bytef *)packed,
      .avail_in = (uInt)count,
      .next_out = bytes,
      .avail_out = (uInt)capacity,
  };
  if (inflateInit(&stream) != Z_OK) return 0;
  inflate(&stream, Z_SYNC_FLUSH);
  size_t made = capacity - stream.avail_out;
  inflateEnd(&stream);
  return made;
}

int cvnc_event(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cvnc_encrypt(uint8_t challenge[16], const char *password) {
  rfbEncryptBytes(challenge, (char *)password);
}
