#include "cvncclient.h"

#include <rfb/rfbclient.h>
#include <stdlib.h>
#include <string.h>

struct cvncclient {
  rfbClient *client;
  unsigned copies;
  GotCopyRectProc copy;
};

static int tag;

static void quiet(const char *format, ...) { (void)format; }

static void got_copy(rfbClient *client, int from_x, int from_y, int width, int height, int x, int y) {
  struct cvncclient *self = rfbClientGetClientData(client, &tag);
  self->copies++;
  self->copy(client, from_x, from_y, width, height, x, y);
}

struct cvncclient *cvncclient_open(uint16_t port, const char *encodings, int quality,
                                   bool red_first) {
  rfbClientLog = rfbClientErr = quiet;
  struct cvncclient *self = calloc(1, sizeof *self);
  rfbClient *client = self ? rfbGetClient(8, 3, 4) : NULL;
  if (!client) {
    free(self);
    return NULL;
  }
  client->format.redShift = red_first ? 0 : 16;
  client->format.greenShift = 8;
  client->format.blueShift = red_first ? 16 : 0;
  client->format.depth = 24;
  client->appData.encodingsString = encodings;
  client->appData.compressLevel = 1;
  client->appData.enableJPEG = quality >= 0;
  client->appData.qualityLevel = quality;
  client->appData.useRemoteCursor = FALSE;
  client->canHandleNewFBSize = TRUE;
  client->serverHost = strdup("127.0.0.1");
  client->serverPort = port;
  self->copy = client->GotCopyRect;
  client->GotCopyRect = got_copy;
  rfbClientSetClientData(client, &tag, self);
  // Frees the client where it fails.
  if (!rfbInitClient(client, NULL, NULL)) {
    free(self);
    return NULL;
  }
  self->client = client;
  return self;
}

void cvncclient_close(struct cvncclient *self) {
  free(self->client->frameBuffer);
  rfbClientCleanup(self->client);
  free(self);
}

bool cvncclient_follow(struct cvncclient *self, int ms) {
  while (true) {
    int ready = WaitForMessage(self->client, (unsigned)ms * 1000);
    if (ready < 0) return false;
    if (ready == 0) return true;
    if (!HandleRFBServerMessage(self->client)) return false;
  }
}

const uint32_t *cvncclient_pixels(struct cvncclient *self, int *width, int *height) {
  *width = self->client->width;
  *height = self->client->height;
  return (const uint32_t *)(const void *)self->client->frameBuffer;
}

unsigned cvncclient_copies(struct cvncclient *self) { return self->copies; }
