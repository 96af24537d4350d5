import KVMEngine
import Synchronization

/// Boots a kernel instead of a medium: what INT 19h does where the desktop was given one.
///
/// The files are read and checked when the machine is made, so that whoever starts it hears at once
/// of a bad one; later boots read them again.
final class DirectBoot: Sendable {
  private let files: DirectBootFiles
  private let machine: FirmwareConfiguration
  /// Gets a sentence when a later boot finds the files no longer fit.
  private let failed: @Sendable (String) -> Void
  /// What was read when the machine was made, for the first boot.
  private let first: Mutex<BootImage?>
  /// Shows the screen that a Multiboot kernel asks for.
  private let show: @Sendable (MultibootHeader.Screen) -> BootScreen?

  /// - Parameter isRestored: the machine goes on from a snapshot: only a reset needs the files.
  /// - Throws: a sentence for the user.
  init(
    _ files: DirectBootFiles, machine: FirmwareConfiguration, isRestored: Bool = false,
    show: @escaping @Sendable (MultibootHeader.Screen) -> BootScreen? = { _ in nil },
    failed: @escaping @Sendable (String) -> Void
  ) throws(MachineError) {
    self.files = files
    self.machine = machine
    self.failed = failed
    self.show = show
    first = Mutex(isRestored ? nil : try BootImage(files, machine: machine))
  }

  /// Loads the kernel into `space` and makes `call` its entry.
  func start(_ call: inout FirmwareCall, in space: AddressSpace) -> FirmwareOutcome {
    let prepared = first.withLock { image in
      defer { image = nil }
      return image
    }
    do throws(MachineError) {
      let image = if let prepared { prepared } else { try BootImage(files, machine: machine) }
      let state = image.place(in: space, from: call.system, show: show)
      call.enter(state.registers, state.system)
      return .enter
    } catch {
      failed(error.description)
      return .wait
    }
  }
}
