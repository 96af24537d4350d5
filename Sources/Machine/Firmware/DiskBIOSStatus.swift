/// How an INT 13h function ended: AH on return, and the byte that function 01h reads again.
///
/// Source: IBM PS/2 and PC BIOS Interface Technical Reference, INT 13h; Phoenix Enhanced Disk Drive
/// Specification 3.0, 3.2 (B0h and up).
enum DiskStatus: UInt8, Sendable {
  case success = 0x00
  case invalidCommand = 0x01
  case writeProtected = 0x03
  case sectorNotFound = 0x04
  case mediaChanged = 0x06
  case noSuchHardDisk = 0x07
  case mediaTypeNotFound = 0x0C
  case controllerFailed = 0x20
  case noMedia = 0x31
  case timeout = 0x80
  case notReady = 0xAA
  case notLocked = 0xB0
  case locked = 0xB1
  case notRemovable = 0xB2
  case lockCountExceeded = 0xB4
  case ejectFailed = 0xB5
  case writeFault = 0xCC
}
