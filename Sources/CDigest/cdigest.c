#include "cdigest.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

int cdigest_clone(int target, int source) {
  return ioctl(target, FICLONE, source) == 0 ? 0 : errno;
}
