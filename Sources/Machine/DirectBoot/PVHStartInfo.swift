/// What a kernel that is entered as a PVH guest is told (Xen,
/// xen/include/public/arch-x86/hvm/start_info.h).
enum PVHStartInfo {
  private static let magic: UInt32 = 0x336E_C578
  private static let version: UInt32 = 1
  private static let headerBytes: UInt64 = 56
  private static let moduleBytes: UInt64 = 32

  /// The structure, the module list and the memory map behind it, for `address`.
  static func bytes(at address: UInt64, _ values: BootParameters.Values) -> [UInt8] {
    let modules = values.ramDisk.isEmpty ? UInt32(0) : 1
    let moduleList = address &+ headerBytes
    let map = moduleList &+ moduleBytes
    var bytes: [UInt8] = []
    bytes.append(field: magic)
    bytes.append(field: version)
    bytes.append(field: UInt32(0))  // flags
    bytes.append(field: modules)
    bytes.append(field: modules == 0 ? 0 : moduleList)
    bytes.append(field: values.commandLine)
    bytes.append(field: UInt64(0))  // ACPI's root pointer: the kernel looks for it itself
    bytes.append(field: map)
    bytes.append(field: UInt32(truncatingIfNeeded: values.memoryMap.count))
    bytes.append(field: UInt32(0))
    bytes.append(field: values.ramDisk.lowerBound)
    bytes.append(field: values.ramDisk.upperBound - values.ramDisk.lowerBound)
    bytes.append(field: UInt64(0))  // no command line of its own
    bytes.append(field: UInt64(0))
    for range in values.memoryMap {
      bytes.append(field: range.start)
      bytes.append(field: range.length)
      bytes.append(field: range.kind.rawValue)
      bytes.append(field: UInt32(0))
    }
    return bytes
  }
}
