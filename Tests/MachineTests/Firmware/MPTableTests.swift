import Testing

@testable import Machine

struct MPTableTests {
  private func table(_ processors: Int) -> [UInt8] {
    MPTable.bytes(processors: processors, signature: 0x123, features: 0x201, at: 0xF0000)
  }

  @Test(arguments: [1, 2, 15, 16])
  func everyChecksumIsZeroAndTheLengthIsTheTables(processors: Int) {
    let bytes = table(processors)
    #expect(Array(bytes.prefix(4)) == Array("_MP_".utf8))
    #expect(bytes[0..<16].reduce(0, &+) == 0)
    let length = Int(bytes[20]) | Int(bytes[21]) << 8
    #expect(length == bytes.count - 16)
    #expect(bytes[16...].reduce(0, &+) == 0)
    #expect(bytes.count <= MemoryMap.firmwareTablesBytes)
  }

  /// Walks the entries as a guest does.
  @Test(arguments: [1, 4, 16])
  func entriesAreAsManyAsTheHeaderSaysAndInOrder(processors: Int) {
    let bytes = Array(table(processors).dropFirst(16))
    var at = 44
    var types: [UInt8] = []
    while at < bytes.count {
      types.append(bytes[at])
      at += bytes[at] == 0 ? 20 : 8
    }
    #expect(at == bytes.count)
    #expect(types == types.sorted())
    #expect(types.count == Int(bytes[34]) | Int(bytes[35]) << 8)
    #expect(types.count { $0 == 0 } == processors)
    // Every ISA wire but the cascade and the two that are PCI's, and four pins of seven slots.
    #expect(types.count { $0 == 3 } == 13 + 28)
  }

  @Test func onlyTheFirstProcessorBoots() {
    let bytes = Array(table(3).dropFirst(16 + 44))
    #expect([bytes[3], bytes[23], bytes[43]] == [3, 1, 1])
    #expect([bytes[1], bytes[21], bytes[41]] == [0, 1, 2])
  }

  @Test func romWithTablesStillAddsUpToZero() {
    let image = ROMImage.bytes(
      ACPIBoard(processors: 4, pciHole: 0x800_0000...MemoryMap.pciMemory.upperBound))
    #expect(image.count == ROMImage.size)
    #expect(image.reduce(0, &+) == 0)
    #expect(Array(image[0..<4]) == Array("_MP_".utf8))
  }
}
