import ArgumentParser

/// Images' names, for shells that complete them.
enum ImageNames {
  /// Completes the name of an image in the store.
  static let completion = CompletionKind.custom { _, _, _ in
    (try? ImageStore.locate().names()) ?? []
  }
}
