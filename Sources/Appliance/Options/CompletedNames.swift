import ArgumentParser

/// Names of what is in the store, for shells that complete them.
enum CompletedNames {
  /// Completes the name of a desktop: those of the store, and those that run without being there.
  static let desktops = CompletionKind.custom { _, _, _ in
    let stored = (try? DesktopStore(directories: .locate()).names()) ?? []
    let running = (try? RuntimeDirectory.locate().runningNames()) ?? []
    return Set(stored + running).sorted()
  }

  /// Completes the name of an image.
  static let images = CompletionKind.custom { _, _, _ in
    (try? ImageStore.locate().names()) ?? []
  }
}
