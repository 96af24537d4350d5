#define _GNU_SOURCE
#include "cstorage.h"

#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

const int cstorage_direct = O_DIRECT;
const int cstorage_seek_data = SEEK_DATA;
const int cstorage_seek_hole = SEEK_HOLE;

int cstorage_punch(int descriptor, off_t offset, off_t length) {
  return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int cstorage_start_writing(int descriptor) {
  // A length of 0 is all from the offset on.
  return sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int cstorage_rename_new(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cstorage_clone(int from, int to, uint64_t offset, uint64_t length) {
  struct file_clone_range range = {
      .src_fd = from, .src_offset = offset, .src_length = length, .dest_offset = offset};
  return ioctl(to, FICLONERANGE, &range);
}
