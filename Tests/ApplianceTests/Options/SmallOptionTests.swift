import Machine
import Storage
import Testing

@testable import Appliance

@Suite struct SmallOptionTests {
  @Test func readsSerialTargets() throws {
    #expect(try SerialOption.parse("none") == .none)
    #expect(try SerialOption.parse("stdio") == .stdio)
    #expect(try SerialOption.parse("file:/srv/a:b") == .file("/srv/a:b"))
    #expect(try SerialOption.parse("socket:s") == .socket("s"))
    for text in ["", "file:", "socket:", "pty", "STDIO"] {
      #expect(throws: Complaint.self) { try SerialOption.parse(text) }
    }
  }

  @Test func readsBootOrders() throws {
    #expect(try BootOrder.parse("cdrom,disk,floppy").kinds == [.cdrom, .hardDisk, .floppy])
    #expect(try BootOrder.parse("CD") == .init(kinds: [.cdrom]))
    #expect(try BootOrder.parse("menu,cd") == .init(kinds: [.cdrom], hasMenu: true))
    for text in ["", "disk,", "disk,disk", "hd,disk", "network"] {
      #expect(throws: Complaint.self) { try BootOrder.parse(text) }
    }
  }

  @Test func readsKeyboardLayouts() throws {
    #expect(try KeyboardOption.parse("De").name == "de")
    #expect(throws: Complaint.self) { try KeyboardOption.parse("martian") }
  }

  @Test func namesCannotLeaveTheirFolder() throws {
    #expect(try DesktopName.parse("build-7_a.b") == "build-7_a.b")
    let long = String(repeating: "a", count: DesktopName.longest)
    #expect(try DesktopName.parse(long) == long)
    for text in ["", ".", "..", ".a", "a/b", "a b", "ä", "a\n", long + "a"] {
      #expect(throws: Complaint.self) { try DesktopName.parse(text) }
    }
  }
}
