import ArgumentParser
import Storage

/// `porthole disk`: disk images, made, looked at, changed and checked.
struct DiskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk",
    abstract: "Makes, converts and checks disk images.",
    discussion: """
      Images are raw or qcow2, of QEMU's versions 2 and 3. An image that a desktop or another \
      program has open for writing is left alone. Every command ends with 0 where it did what it was \
      asked to, and with 1 where it could not; check and compare have more to say.
      """,
    subcommands: [
      DiskInfoCommand.self, DiskCreateCommand.self, DiskConvertCommand.self,
      DiskCheckCommand.self, DiskCompareCommand.self, DiskMapCommand.self,
      DiskResizeCommand.self, DiskCommitCommand.self, DiskRebaseCommand.self,
      DiskFlattenCommand.self, DiskSnapshotsCommand.self, DiskBenchCommand.self,
      DiskPlayCommand.self,
    ])
}

extension CacheMode: ExpressibleByArgument {}
