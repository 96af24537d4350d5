import KVMEngine

/// A kind of medium to boot from, as the boot order names it.
public enum BootDevice: String, Sendable, CaseIterable, Codable {
  case floppy
  case hardDisk
  case cdrom
}

/// What became of an attempt to load boot code.
public enum BootResult: Sendable, Equatable {
  /// The boot code lies at `segment`:`offset`; the firmware jumps there with `drive` in DL.
  case loaded(drive: UInt8, segment: UInt16, offset: UInt16)
  /// Nothing to boot there. The text is one line for the person at the screen, in ASCII and at most
  /// 76 characters long: the device and what is wrong with it, as in
  /// `Hard disk (disk.img): sector 0 does not end in the boot signature 55 AA.`
  case failed(String)
}

/// A disk's geometry as INT 13h tells it.
public struct DriveGeometry: Sendable, Equatable {
  /// 1 to 1024.
  public var cylinders: UInt16
  /// 1 to 255.
  public var heads: UInt8
  /// 1 to 63.
  public var sectorsPerTrack: UInt8

  public init(cylinders: UInt16, heads: UInt8, sectorsPerTrack: UInt8) {
    self.cylinders = cylinders
    self.heads = heads
    self.sectorsPerTrack = sectorsPerTrack
  }
}

/// The drives that POST enters into the BIOS data area, the equipment word and the CMOS memory.
public struct DriveInventory: Sendable, Equatable {
  /// CMOS types of floppy drives A and B (0 none, 1 360 KB, 2 1.2 MB, 3 720 KB, 4 1.44 MB,
  /// 5 2.88 MB); at most two.
  public var floppyTypes: [UInt8]
  /// The hard disks 80h, 81h, ... in this order.
  public var hardDisks: [DriveGeometry]

  public init(floppyTypes: [UInt8] = [], hardDisks: [DriveGeometry] = []) {
    self.floppyTypes = floppyTypes
    self.hardDisks = hardDisks
  }
}

/// The disk services as POST and INT 19h use them.
public protocol BootLoader: AnyObject, Sendable {
  /// The drives there are. Asked once in every POST, which is also when the disk services forget
  /// what the last boot left behind.
  func prepareForBoot() -> DriveInventory

  /// What the boot menu calls the drive that `device` is; nil where there is none.
  func bootTitle(_ device: BootDevice) -> String?

  /// Loads the boot code of `device` into guest memory, if it has any.
  func loadBootCode(from device: BootDevice) -> BootResult
}
