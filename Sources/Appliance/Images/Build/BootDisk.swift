import Glibc
import KVMEngine
import Storage

/// A hard disk with GRUB in front of one partition.
struct BootDisk {
  /// Where GRUB for a PC's BIOS lies in Debian.
  private static let grub = "/usr/lib/grub/i386-pc"
  /// The partition's first sector: the first MiB, as every partitioning program has it.
  static let first = 2048
  /// Bytes of a boot sector that are code (the disk's signature and the table come behind).
  private static let codeBytes = 440
  private static let signatureOffset: off_t = 440
  private static let tableOffset: off_t = 446
  /// A partition of Linux.
  private static let linux: UInt8 = 0x83
  /// What GRUB needs to read its menu, and to start a kernel from an ext4 volume.
  private static let modules = [
    "biosdisk", "part_msdos", "ext2", "normal", "linux", "echo", "boot", "reboot", "halt", "ls",
  ]

  /// The file, which is there and is empty.
  let path: String
  /// Bytes of the disk, whole mebibytes.
  let size: Int
  /// The disk's signature, by which systems tell disks apart.
  let signature: UInt32

  private var sectors: Int { size / 512 - Self.first }
  /// Where the partition begins, in bytes, and how many KiB it has.
  var partition: (offset: Int, kibibytes: Int) { (Self.first * 512, sectors / 2) }

  /// The programs that it takes.
  static func grubProgram() throws(Complaint) -> Program {
    guard access(grub + "/boot.img", R_OK) == 0 else {
      throw Complaint("GRUB for BIOSes is missing; install it: apt install grub-pc-bin")
    }
    return try Program("grub-mkimage", package: "grub-common")
  }

  /// Writes the boot sector, the partition table, and GRUB between them and the partition.
  /// - Parameter work: a folder for files in between.
  func write(work: String, with program: Program) throws {
    let core = work + "/core.img"
    try program.run(
      ["-d", Self.grub, "-O", "i386-pc", "-p", "(,msdos1)/boot/grub", "-o", core] + Self.modules)
    let descriptor = Descriptor(owning: open(path, O_WRONLY | O_CLOEXEC))
    guard descriptor.number >= 0, ftruncate(descriptor.number, off_t(size)) == 0 else {
      throw HostError("write \(path)", code: errno)
    }
    let loader = try bytes(Self.grub + "/boot.img", limit: 512)
    let body = try bytes(core, limit: (Self.first - 1) * 512)
    try put(Array(loader.prefix(Self.codeBytes)), at: 0, descriptor.number)
    try put(body, at: 512, descriptor.number)
    let mark = withUnsafeBytes(of: signature.littleEndian) { Array($0) }
    try put(mark, at: Self.signatureOffset, descriptor.number)
    try put(table, at: Self.tableOffset, descriptor.number)
  }

  /// The partition table and the boot sector's mark.
  private var table: [UInt8] {
    let last = Self.first + sectors - 1
    var entry: [UInt8] = [0x80] + Self.address(Self.first) + [Self.linux] + Self.address(last)
    for number in [UInt32(Self.first), UInt32(clamping: sectors)] {
      withUnsafeBytes(of: number.littleEndian) { entry += Array($0) }
    }
    return entry + [UInt8](repeating: 0, count: 48) + [0x55, 0xAA]
  }

  /// A sector's address by cylinder, head and sector, for 255 heads of 63 sectors; what has none gets
  /// the last one.
  private static func address(_ sector: Int) -> [UInt8] {
    let (cylinder, rest) = sector.quotientAndRemainder(dividingBy: 255 * 63)
    guard cylinder < 1024 else { return [0xFE, 0xFF, 0xFF] }
    return [
      UInt8(rest / 63), UInt8(rest % 63 + 1) | UInt8(cylinder >> 2 & 0xC0), UInt8(cylinder & 0xFF),
    ]
  }

  private func bytes(_ file: String, limit: Int) throws -> [UInt8] {
    guard let bytes = try DurableFile.read(file, limit: limit) else {
      throw HostError("open \(file)", code: ENOENT)
    }
    guard bytes.count <= limit else {
      throw Complaint("\(file) has more than the \(limit) bytes that there is room for")
    }
    return bytes
  }

  private func put(_ bytes: [UInt8], at offset: off_t, _ descriptor: Int32) throws(HostError) {
    guard pwrite(descriptor, bytes, bytes.count, offset) == bytes.count else {
      throw HostError("write \(path)", code: errno)
    }
  }
}
