// SHA-256 by nettle, which uses the processor's own instructions for it where there are some, and what
// else of an image file Swift can't ask for: a clone that shares its storage.
#pragma once
#include <nettle/sha2.h>

// Makes `target` share all of `source`'s storage (FICLONE, ioctl_ficlonerange(2)).
// Returns 0 or the errno: EOPNOTSUPP, EXDEV or EINVAL where the file systems can't.
int cdigest_clone(int target, int source);
