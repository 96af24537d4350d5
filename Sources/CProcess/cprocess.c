#define _GNU_SOURCE
#include "cprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/fs.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static short type_of(cprocess_lock_kind kind) {
  return kind == CPROCESS_WRITE ? F_WRLCK : kind == CPROCESS_READ ? F_RDLCK : F_UNLCK;
}

static int lock_range(int file, off_t start, off_t length, cprocess_lock_kind kind) {
  struct flock lock = {
      .l_type = type_of(kind), .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  return fcntl(file, F_OFD_SETLK, &lock) == 0 ? 0 : errno == EACCES ? EAGAIN : errno;
}

int cprocess_lock(int file, cprocess_lock_kind kind) { return lock_range(file, 0, 0, kind); }

int cprocess_lock_byte(int file, off_t byte, cprocess_lock_kind kind) {
  return lock_range(file, byte, 1, kind);
}

cprocess_lock_kind cprocess_lock_of_others(int file) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(file, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return CPROCESS_UNLOCKED;
  return lock.l_type == F_RDLCK ? CPROCESS_READ : CPROCESS_WRITE;
}

int cprocess_rename_new(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

// Copies the bytes from `at` up to `end`.
static int copy_part(int from, int to, off_t at, off_t end) {
  while (at < end) {
    loff_t in = at, out = at;
    ssize_t count = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);
    if (count > 0) {
      at += count;
      continue;
    }
    if (count == 0) return 0;
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return errno;
    char bytes[65536];
    count = pread(from, bytes, end - at < (off_t)sizeof bytes ? (size_t)(end - at) : sizeof bytes, at);
    if (count <= 0) return count == 0 ? 0 : errno;
    count = pwrite(to, bytes, (size_t)count, at);
    if (count < 0) return errno;
    at += count;
  }
  return 0;
}

int cprocess_copy(int from, int to) {
  if (ioctl(to, FICLONE, from) == 0) return 0;
  struct stat status;
  if (fstat(from, &status) != 0 || ftruncate(to, status.st_size) != 0) return errno;
  off_t at = 0;
  while (at < status.st_size) {
    off_t begin = lseek(from, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return 0;
    off_t end = begin < 0 ? status.st_size : lseek(from, begin, SEEK_HOLE);
    if (begin < 0) begin = at;
    if (end < 0) end = status.st_size;
    int code = copy_part(from, to, begin, end);
    if (code != 0) return code;
    at = end;
  }
  return 0;
}

int cprocess_spawn(const char *program, char *const arguments[], int log, int ready, int lock,
                   pid_t *child) {
  enum { READY = 3, LOCK = 4, FREE = 5 };
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  // Out of the way of the numbers that they get.
  int sources[] = {fcntl(log, F_DUPFD_CLOEXEC, 16), fcntl(ready, F_DUPFD_CLOEXEC, 16),
                   fcntl(lock, F_DUPFD_CLOEXEC, 16)};
  int code = sources[0] < 0 || sources[1] < 0 || sources[2] < 0 ? errno : 0;
  // fcntl(2): the number asked for is beyond RLIMIT_NOFILE.
  if (code == EINVAL) code = EMFILE;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  if (!code) code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!code) code = posix_spawn_file_actions_adddup2(&actions, sources[0], 1);
  if (!code) code = posix_spawn_file_actions_adddup2(&actions, sources[0], 2);
  if (!code) code = posix_spawn_file_actions_adddup2(&actions, sources[1], READY);
  if (!code) code = posix_spawn_file_actions_adddup2(&actions, sources[2], LOCK);
  if (!code) code = posix_spawn_file_actions_addclosefrom_np(&actions, FREE);
  if (!code) code = posix_spawn_file_actions_addchdir_np(&actions, "/");
  if (!code) code = posix_spawn(child, program, &actions, &attributes, arguments, environ);
  for (int index = 0; index < 3; index++)
    if (sources[index] >= 0) close(sources[index]);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return code;
}

void cprocess_set_title(int count, char **arguments, const char *title) {
  prctl(PR_SET_NAME, title);
  if (count < 1 || !arguments[0]) return;
  char *begin = arguments[0], *end = begin;
  for (int index = 0; index < count && arguments[index] == end; index++)
    end += strlen(arguments[index]) + 1;
  size_t room = (size_t)(end - begin);
  if (room < 3) return;
  // proc(5): where the last byte is not zero, the kernel takes the arguments as one text that a zero
  // byte ends.
  memset(begin, 0, room);
  strncpy(begin, title, room - 2);
  begin[room - 1] = 1;
}

// Parts of a file that nobody may write to are what they were when they come back.
static int give_back_object(struct dl_phdr_info *object, size_t size, void *context) {
  (void)size;
  (void)context;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
    uintptr_t start = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
    uintptr_t end = object->dlpi_addr + part->p_vaddr + part->p_memsz;
    madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void cprocess_give_back(void) {
  malloc_trim(0);
  dl_iterate_phdr(give_back_object, NULL);
}
