import Testing

@testable import Interpreter

struct ShadowedTablesTests {
  /// A guest that writes page-table entries for ever is remembered in bounded memory.
  @Test func notesOfAGuestThatNeverEntersUserCodeAreBounded() {
    let tables = ShadowedTables()
    for index in UInt64(0)..<100_000 {
      tables.noteNewEntry(0x1000 + index * 8)
      tables.noteChangedEntry(0x2000 + index * 8)
    }
    #expect(tables.noteCount <= ShadowedTables.mostNewEntries + ShadowedTables.mostChanges + 1)
    #expect(tables.noteCount > ShadowedTables.mostNewEntries)
  }
}
