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
                                   bool red_first, bool few_colors) {
  rfbClientLog = rfbClientErr = quiet;
  struct cvncclient *self = calloc(1, sizeof *self);
  rfbClient *client = !self ? NULL : few_colors ? rfbGetClient(5, 3, 2) : rfbGetClient(8, 3, 4);
  if (!client) {
    free(self);
    return NULL;
  }
  int bits = few_colors ? 5 : 8;
  client->format.redShift = (uint8_t)(red_first ? 0 : bits * 2);
  client->format.greenShift = (uint8_t)bits;
  client->format.blueShift = (uint8_t)(red_first ? bits * 2 : 0);
  client->format.depth = (uint8_t)(bits * 3);
  client->appData.encodingsString = encodings;
  client->appData.compressLevel = 1;
  client->appData.enableJPEG = quality >= 0;
  client->appData.qualityLevel = quality;
  client->appData.useRemoteCursor = TRUE;
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

void cvncclient_size(struct cvncclient *self, int *width, int *height) {
  *width = self->client->width;
  *height = self->client->height;
}

uint32_t cvncclient_pixel(struct cvncclient *self, int index) {
  const uint8_t *at = self->client->frameBuffer + index * (self->client->format.bitsPerPixel / 8);
  uint16_t small;
  uint32_t large;
  if (self->client->format.bitsPerPixel == 16) {
    memcpy(&small, at, sizeof small);
    return small;
  }
  memcpy(&large, at, sizeof large);
  return large & 0xFFFFFF;
}

unsigned cvncclient_copies(struct cvncclient *self) { return self->copies; }

void cvncclient_set_level(struct cvncclient *self, int level) {
  self->client->appData.compressLevel = level;
  SetFormatAndEncodings(self->client);
}
