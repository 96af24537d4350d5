import Testing

@testable import Appliance

@Suite struct ImageNameTests {
  @Test(arguments: ["", ".", "..", ".hidden", "a/b", "ä", "a b", String(repeating: "x", count: 65)])
  func namesThatAreNoFoldersNameAreRefused(_ name: String) {
    #expect(throws: Complaint.self) { try ImageName.parse(name) }
  }

  @Test(arguments: [
    ("/home/me/debian-12.5.0-amd64-netinst.iso", "debian-12.5.0-amd64-netinst"),
    ("disk.QCOW2", "disk"), ("My Disk (old).img", "My-Disk-old"), (".img", "img"),
    ("../..", "image"), ("Größe.raw", "Gr-e"), ("/dev/sda", "sda"),
    (String(repeating: "x", count: 100), String(repeating: "x", count: 64)),
  ])
  func anImageIsCalledAsItsFile(_ path: String, _ name: String) {
    #expect(ImageName.suggested(for: path) == name)
    #expect(throws: Never.self) { try ImageName.parse(ImageName.suggested(for: path)) }
  }

  @Test(arguments: [
    (Int64(0), "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
    (10 << 30, "10 GiB"), (1 << 60, "1.0 EiB"), (-1, "0 bytes"),
  ])
  func amountsAreReadable(_ bytes: Int64, _ text: String) {
    #expect(ByteCount.describe(bytes) == text)
  }

  @Test func tablesHaveColumns() {
    #expect(
      Columns.text([["A", "LONG", "C"], ["abc", "d", "e"], ["x"]])
        == "A    LONG  C\nabc  d     e\nx")
  }
}
