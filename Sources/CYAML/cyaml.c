#include "cyaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct cyaml_parser {
  yaml_parser_t parser;
  yaml_event_t event;
  bool holds_event;
  cyaml_event last;
  bool over;
};

cyaml_parser *cyaml_open(const uint8_t *bytes, size_t size) {
  cyaml_parser *parser = calloc(1, sizeof *parser);
  if (!parser) return NULL;
  if (!yaml_parser_initialize(&parser->parser)) {
    free(parser);
    return NULL;
  }
  yaml_parser_set_encoding(&parser->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser->parser, bytes, size);
  return parser;
}

static void drop_event(cyaml_parser *parser) {
  if (parser->holds_event) yaml_event_delete(&parser->event);
  parser->holds_event = false;
}

static void fail(cyaml_parser *parser, cyaml_event *event) {
  event->kind = CYAML_ERROR;
  event->text = parser->parser.problem ? parser->parser.problem : "there is no memory for it";
  event->length = strlen(event->text);
  event->line = parser->parser.problem_mark.line + 1;
  event->column = parser->parser.problem_mark.column + 1;
}

static void begin(cyaml_event *event, cyaml_kind kind, const yaml_char_t *anchor,
                  const yaml_char_t *tag) {
  event->kind = kind;
  event->anchored = anchor != NULL;
  event->tagged = tag != NULL;
}

// Whether the event is one that a reader wants to see.
static bool translate(cyaml_parser *parser, cyaml_event *event) {
  yaml_event_t *from = &parser->event;
  event->line = from->start_mark.line + 1;
  event->column = from->start_mark.column + 1;
  switch (from->type) {
    case YAML_STREAM_END_EVENT:
      event->kind = CYAML_END;
      return true;
    case YAML_DOCUMENT_START_EVENT:
      event->kind = CYAML_DOCUMENT;
      return true;
    case YAML_ALIAS_EVENT:
      event->kind = CYAML_ALIAS;
      return true;
    case YAML_SCALAR_EVENT:
      begin(event, CYAML_SCALAR, from->data.scalar.anchor, from->data.scalar.tag);
      event->text = (const char *)from->data.scalar.value;
      event->length = from->data.scalar.length;
      event->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
      return true;
    case YAML_SEQUENCE_START_EVENT:
      begin(event, CYAML_SEQUENCE, from->data.sequence_start.anchor, from->data.sequence_start.tag);
      return true;
    case YAML_MAPPING_START_EVENT:
      begin(event, CYAML_MAPPING, from->data.mapping_start.anchor, from->data.mapping_start.tag);
      return true;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      event->kind = CYAML_CLOSE;
      return true;
    default:
      return false;
  }
}

void cyaml_next(cyaml_parser *parser, cyaml_event *event) {
  if (parser->over) {
    *event = parser->last;
    return;
  }
  memset(event, 0, sizeof *event);
  do {
    drop_event(parser);
    if (!yaml_parser_parse(&parser->parser, &parser->event)) {
      fail(parser, event);
      break;
    }
    parser->holds_event = true;
  } while (!translate(parser, event));
  if (event->kind == CYAML_ERROR || event->kind == CYAML_END) {
    parser->over = true;
    parser->last = *event;
  }
}

void cyaml_close(cyaml_parser *parser) {
  drop_event(parser);
  yaml_parser_delete(&parser->parser);
  free(parser);
}
