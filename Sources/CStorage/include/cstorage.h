// C shim for Storage: system calls of Linux that Swift's Glibc does not see.
#pragma once
#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

// open(2)'s O_DIRECT, lseek(2)'s SEEK_DATA and SEEK_HOLE.
extern const int cstorage_direct;
extern const int cstorage_seek_data;
extern const int cstorage_seek_hole;

// fallocate(2) with FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE. Returns 0 or -1 with errno.
int cstorage_punch(int descriptor, off_t offset, off_t length);

// sync_file_range(2) with SYNC_FILE_RANGE_WRITE, for the whole file: begins to write it, and does not
// wait for the end. Returns 0 or -1 with errno.
int cstorage_start_writing(int descriptor);

// renameat2(2) with RENAME_NOREPLACE, relative to the current folder. Returns 0 or -1 with errno.
int cstorage_rename_new(const char *from, const char *to);

// ioctl_ficlonerange(2): makes bytes of `to` share those of `from`. Returns 0 or -1 with errno.
int cstorage_clone(int from, int to, uint64_t offset, uint64_t length);
