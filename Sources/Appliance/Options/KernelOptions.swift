import ArgumentParser
import Machine

/// `--kernel` and the options that go with it.
enum KernelOptions {
  /// Refuses options that contradict each other.
  static func check(
    kernel: String?, initrd: String?, append: String?, modules: [String], guest: String?
  ) throws {
    guard kernel == nil else {
      if guest != nil {
        throw ValidationError("--guest and --kernel exclude each other: only one of them boots")
      }
      return
    }
    for (name, value) in [
      ("initrd", initrd), ("append", append), ("module", modules.first),
    ] where value != nil {
      throw ValidationError("--\(name) goes with --kernel, which is missing")
    }
  }

  /// What is booted directly, if anything.
  static func files(
    kernel: String?, initrd: String?, append: String?, modules: [String]
  ) -> DirectBootFiles? {
    kernel.map {
      DirectBootFiles(
        kernel: $0, initialRAMDisk: initrd, commandLine: append ?? "", modules: modules.map(module))
    }
  }

  /// `FILE=COMMAND LINE`, or only the file.
  private static func module(_ text: String) -> DirectBootFiles.Module {
    guard let sign = text.firstIndex(of: "=") else { return .init(path: text) }
    return .init(
      path: String(text[..<sign]), commandLine: String(text[text.index(after: sign)...]))
  }
}
