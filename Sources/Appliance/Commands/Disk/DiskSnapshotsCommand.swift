import ArgumentParser
import Storage

/// `porthole disk snapshots`: the internal snapshots of a qcow2 image.
struct DiskSnapshotsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshots", abstract: "Lists the snapshots inside a qcow2 image.",
    discussion: "porthole disk convert --snapshot copies what one of them kept.")

  /// One snapshot.
  struct Row: Encodable {
    let id: String
    let name: String
    /// Seconds since 1970.
    let time: UInt32
    let size: UInt64
    /// Bytes of a machine's state that are kept with it.
    let state: UInt64
  }

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let rows = try DiskImage.snapshots(path: image).map { snapshot in
      Row(
        id: snapshot.id, name: snapshot.name, time: snapshot.seconds, size: snapshot.diskBytes,
        state: snapshot.stateBytes)
    }
    if json { return Console.output(try JSON.text(rows)) }
    guard !rows.isEmpty else { return }
    var table = [["ID", "NAME", "SIZE", "STATE"]]
    table += rows.map { row in
      [
        row.id, row.name, ByteCount.describe(Int64(clamping: row.size)),
        ByteCount.describe(Int64(clamping: row.state)),
      ]
    }
    Console.output(Columns.text(table))
  }
}
