// C shim for Appliance: calls of Linux that Swift's Glibc module lacks. All of them answer with 0 or
// with an errno, unless it says otherwise.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

typedef enum cprocess_lock_kind {
  CPROCESS_UNLOCKED,
  // Any number of readers, and no writer.
  CPROCESS_READ,
  // One writer alone.
  CPROCESS_WRITE,
} cprocess_lock_kind;

// Takes or gives back the open-file-description lock of a whole file (fcntl(2), F_OFD_SETLK); never
// waits: EAGAIN where somebody else has it. The lock goes with the last descriptor.
int cprocess_lock(int file, cprocess_lock_kind kind);
// The same for one byte of the file, which need not be there.
int cprocess_lock_byte(int file, off_t byte, cprocess_lock_kind kind);
// The lock that others have on the file, as far as it excludes a writer.
cprocess_lock_kind cprocess_lock_of_others(int file);

// Renames; EEXIST where there is a `to` already (renameat2(2), RENAME_NOREPLACE).
int cprocess_rename_new(const char *from, const char *to);

// Makes `to` hold what `from` holds: sharing the blocks where the file system can (FICLONE), else
// copying what is not a hole.
int cprocess_copy(int from, int to);

// Starts `program` with these arguments in a session of its own, in the root folder, without
// standard input and with all signals at their defaults. The child has `log` as standard output and
// error, `ready` as descriptor 3, `lock` as 4, and no others. `child` gets its process id.
int cprocess_spawn(const char *program, char *const arguments[], int log, int ready, int lock,
                   pid_t *child);

// Gives back what only the start of this process has needed: the pages of programs and libraries
// that can be read anew from their files, and what malloc has left over. What is needed again comes
// back by itself, page by page.
void cprocess_give_back(void);

// Makes ps and top show `title` for this process, as far as its arguments left room. Ends what
// `arguments` held.
void cprocess_set_title(int count, char **arguments, const char *title);
