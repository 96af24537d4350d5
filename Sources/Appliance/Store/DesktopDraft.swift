import Glibc
import KVMEngine

/// A folder among the desktops in which something is made that only its maker sees: a new desktop, or
/// a file that takes another one's place. It goes with this object; what a killed command left is
/// known by its lock, which is free, and goes with the next command.
final class DesktopDraft {
  /// The folder; its name is the desktop's.
  let folder: DesktopFolder
  let lock: DesktopLock

  /// - Parameters:
  ///   - name: the desktop for which something is made.
  ///   - desktops: the folder that has all desktops.
  init(_ name: String, in desktops: String) throws {
    let draft = DesktopFolder(
      name: name, path: DesktopStore.temporaryPath(DesktopStore.making, name, in: desktops))
    folder = draft
    lock = try StoreLock.holding(desktops) {
      guard mkdir(draft.path, S_IRWXU) == 0 else {
        throw HostError(
          "make a folder in \(desktops)", code: errno, advice: StoreDirectories.advice(errno))
      }
      do {
        guard let lock = try DesktopLock.attempt(draft) else {
          throw Complaint("another command is at work on desktop \(name); try again")
        }
        return lock
      } catch {
        Folder.remove(draft.path)
        throw Complaint(error, in: draft.path, for: desktops + "/" + name)
      }
    }
  }

  deinit { Folder.remove(folder.path) }
}

extension Complaint {
  /// What somebody is told of an error in a folder where something is made: by the place that it is
  /// made for, since the folder is gone by then.
  init(_ error: any Error, in draft: String, for place: String) {
    let text = "\(error)"
    let parts = text.split(separator: draft, omittingEmptySubsequences: false)
    self.init(parts.joined(separator: place))
  }
}
