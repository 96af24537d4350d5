// C shim for Configuration: libyaml's parser as a stream of plain events. The library's own structures
// are unions, and its scanner wants an exact size of its caller.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cyaml_kind {
  CYAML_END,
  CYAML_DOCUMENT,
  CYAML_ALIAS,
  CYAML_SCALAR,
  CYAML_SEQUENCE,
  CYAML_MAPPING,
  // The innermost sequence or mapping is over.
  CYAML_CLOSE,
  // The text is no YAML; `text` says why.
  CYAML_ERROR,
} cyaml_kind;

typedef struct cyaml_event {
  cyaml_kind kind;
  // A scalar's bytes, or an error's sentence; valid until the next call.
  const char *text;
  size_t length;
  // A scalar without quotes, which may mean a number, a truth value or nothing.
  bool plain;
  bool anchored;
  bool tagged;
  // Both from 1 on.
  size_t line;
  size_t column;
} cyaml_event;

typedef struct cyaml_parser cyaml_parser;

// Makes a parser over `size` bytes, which must outlive it; NULL where there is no memory.
cyaml_parser *cyaml_open(const uint8_t *bytes, size_t size);
// The next event. After CYAML_END and CYAML_ERROR nothing else comes.
void cyaml_next(cyaml_parser *parser, cyaml_event *event);
void cyaml_close(cyaml_parser *parser);
