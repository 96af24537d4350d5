// A viewer that decodes every encoding: libvncclient, for tests.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cvncclient;

// Connects to a server on this host that wants no password. `encodings` are names as the library
// knows them, the best first ("tight copyrect"); `quality` is 0 to 9, or -1 for no JPEG; `red_first`
// asks for pixels with red in the lowest byte. NULL where that fails.
struct cvncclient *cvncclient_open(uint16_t port, const char *encodings, int quality,
                                   bool red_first);
void cvncclient_close(struct cvncclient *client);
// Reads messages and asks for more until none came for `ms`. False where the connection is lost.
bool cvncclient_follow(struct cvncclient *client, int ms);
// The picture now: `width` * `height` pixels.
const uint32_t *cvncclient_pixels(struct cvncclient *client, int *width, int *height);
// How many CopyRects came.
unsigned cvncclient_copies(struct cvncclient *client);
