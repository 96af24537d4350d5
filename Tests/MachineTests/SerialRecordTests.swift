import Testing

@testable import Machine

struct SerialRecordTests {
  @Test func theEndIsKeptAndMemoryIsBounded() {
    var record = SerialRecord()
    for number in 0..<1_000_000 {
      record.append(UInt8(truncatingIfNeeded: number))
      #expect(record.bytes.count <= 2 * SerialRecord.kept)
    }
    #expect(record.bytes.count >= SerialRecord.kept)
    let end = (1_000_000 - SerialRecord.kept..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(Array(record.bytes.suffix(SerialRecord.kept)) == end)
  }
}
