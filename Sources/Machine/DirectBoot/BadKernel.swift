/// Why a file cannot be booted; each is the end of a sentence.
enum BadKernel: Error, Equatable {
  case notAKernel
  case otherProcessor
  case truncated
  /// The boot protocol's version.
  case tooOld(UInt16)
  case loadedLow
  /// What a Multiboot header asks for and there is not.
  case unknownRequest(String)
  /// Modules for a kernel that takes none.
  case takesNoModules
  /// An address below the first mebibyte.
  case tooLow(UInt64)
  /// Bytes from address 0 on.
  case needsMemory(UInt64)

  /// What is wrong with the file.
  var sentence: String {
    switch self {
    case .notAKernel:
      "it is no kernel: neither a bzImage, an ELF file that can be loaded, nor Multiboot"
    case .otherProcessor: "it is a program for another kind of processor"
    case .truncated: "it ends before the kernel does: the file is cut off"
    case .tooOld(let version):
      "its boot protocol \(version >> 8).\(version & 0xFF) is older than 2.02"
    case .loadedLow: "it is a zImage, which wants the memory where the firmware's data lie"
    case .unknownRequest(let what):
      "its Multiboot header asks for \(what), which there is not"
    case .takesNoModules:
      "modules are for Multiboot kernels, and it has no Multiboot header"
    case .tooLow(let address):
      "it wants to lie at \(String(address, radix: 16))h, in the first mebibyte, which is the firmware's"
    case .needsMemory(let bytes):
      "it needs at least \((bytes + (1 << 20) - 1) >> 20) MiB of memory: give the desktop more"
    }
  }
}
