import Testing

@testable import Appliance

@Suite struct MemorySizeTests {
  @Test(arguments: [
    ("64M", 64 << 20), ("1G", 1 << 30), ("1g", 1 << 30), ("2048K", 2 << 20), ("512MiB", 512 << 20),
    ("256mb", 256 << 20), ("4194304", 4 << 20), ("1T", 1 << 40),
  ])
  func readsNumbersWithUnits(text: String, bytes: Int) throws {
    #expect(try MemorySize.parse(text) == bytes)
  }

  @Test(arguments: [
    "", "M", "-64M", "64X", "1.5G", "1G1", "0", "1M", "2T", "99999999999999999999",
    "9000000000000T",
    "2500K", "3145729", " 64M", "٦٤M",
  ])
  func refusesWhatNoDesktopCanHave(text: String) {
    #expect(throws: Complaint.self) { try MemorySize.parse(text) }
  }

  @Test(arguments: [(64 << 20, "64M"), (1 << 30, "1G"), (1536 << 20, "1536M"), (1000, "1000")])
  func describesInTheLargestWholeUnit(bytes: Int, text: String) {
    #expect(MemorySize.describe(bytes) == text)
  }
}
