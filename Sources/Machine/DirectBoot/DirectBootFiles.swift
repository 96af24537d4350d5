import Glibc
import KVMEngine

/// What is booted instead of a medium: a kernel of Linux or of another system that is entered as
/// Linux or as PVH guests are.
public struct DirectBootFiles: Sendable, Equatable, Codable {
  /// A file that a Multiboot kernel gets, and what it is told with it.
  public struct Module: Sendable, Equatable, Codable {
    public var path: String
    public var commandLine: String

    public init(path: String, commandLine: String = "") {
      self.path = path
      self.commandLine = commandLine
    }
  }

  /// The kernel's path: a bzImage, an uncompressed ELF file, or a Multiboot kernel.
  public var kernel: String
  /// The path of what the kernel gets as initial RAM disk; a Multiboot kernel's first module.
  public var initialRAMDisk: String?
  /// The kernel's command line.
  public var commandLine: String
  public var modules: [Module]

  public init(
    kernel: String, initialRAMDisk: String? = nil, commandLine: String = "", modules: [Module] = []
  ) {
    self.modules = modules
    self.kernel = kernel
    self.initialRAMDisk = initialRAMDisk
    self.commandLine = commandLine
  }

  /// More than this is no kernel and no RAM disk for a machine below 4 GiB, bytes.
  private static let mostBytes = 2 << 30

  /// All of the file at `path`.
  static func read(_ path: String) throws(MachineError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(path, HostError.text(of: errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(path, HostError.text(of: errno)) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw failure(path, "it is no file") }
    guard status.st_size <= mostBytes else { throw failure(path, "it is larger than 2 GiB") }
    let size = Int(status.st_size)
    var problem: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let rest = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
        let got = Glibc.read(descriptor, rest.baseAddress, rest.count)
        if got < 0 && errno == EINTR { continue }
        if got < 0 { problem = errno }
        guard got > 0 else { return }
        count += got
      }
    }
    guard problem == 0 else { throw failure(path, HostError.text(of: problem)) }
    return bytes
  }

  private static func failure(_ path: String, _ cause: String) -> MachineError {
    MachineError("cannot read \(path): \(cause)")
  }
}
