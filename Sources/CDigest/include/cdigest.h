// SHA-256 by nettle, which uses the processor's own instructions for it where there are some.
#pragma once
#include <nettle/sha2.h>
