/// When what a guest writes reaches the host's storage.
public enum CacheMode: String, Sendable, Codable, CaseIterable {
  /// The host caches; a guest's flush reaches the storage (fdatasync) before it is answered.
  case writeback
  /// As ``writeback``, and every write is answered as if a flush followed it.
  case writethrough
  /// Past the host's cache (O_DIRECT); flushes as with ``writeback``.
  case none
  /// The host caches, and flushes are answered without having been done: for what can be made anew.
  case unsafe
}
