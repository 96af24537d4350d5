// A viewer that decodes every encoding: libvncclient, for tests.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cvncclient;

// Connects to a server on this host that wants no password. `encodings` are names as the library
// knows them, the best first ("tight copyrect"); `quality` is 0 to 9, or -1 for no JPEG; `red_first`
// asks for pixels with red in the lowest byte, `few_colors` for 15 bits a pixel. NULL where that
// fails.
struct cvncclient *cvncclient_open(uint16_t port, const char *encodings, int quality,
                                   bool red_first, bool few_colors);
void cvncclient_close(struct cvncclient *client);
// Reads messages and asks for more until none came for `ms`. False where the connection is lost.
bool cvncclient_follow(struct cvncclient *client, int ms);
// The picture's size now, and one of its pixels as they were asked for.
void cvncclient_size(struct cvncclient *client, int *width, int *height);
uint32_t cvncclient_pixel(struct cvncclient *client, int index);
// Asks for another effort of compression, 0 to 9.
void cvncclient_set_level(struct cvncclient *client, int level);
// How many CopyRects came.
unsigned cvncclient_copies(struct cvncclient *client);
