# Makes vectors-r.json: R's results for samples that bench-suite/tests/statistics.rs then passes to this project's code.
#
#   Rscript vectors.R > vectors-r.json
#
# Uses base R without packages.
number <- function(x) paste0("[", paste(sprintf("%.17g", x), collapse = ","), "]")
field <- function(name, value) paste0("\"", name, "\":", value)
record <- function(...) paste0("{", paste(c(...), collapse = ","), "}")
list_of <- function(items) paste0("[\n", paste(items, collapse = ",\n"), "\n]")

set.seed(20260101)
samples <- lapply(c(6, 7, 9, 12, 15, 20, 33, 49), function(n) round(rnorm(n, 0.02, 0.05), 6))
heavy <- lapply(c(10, 16, 25), function(n) round(rt(n, 2) * 0.03, 6))
levels <- c(0.05, 0.01, 0.001)

paired <- unlist(lapply(c(samples, heavy), function(x) {
  lapply(levels[2 / 2^length(x) <= levels], function(level) {
    test <- wilcox.test(x, exact = TRUE, conf.int = TRUE, conf.level = 1 - level)
    record(field("values", number(x)), field("level", sprintf("%.17g", level)),
      field("p", sprintf("%.17g", test$p.value)), field("estimate", sprintf("%.17g", test$estimate)),
      field("interval", number(test$conf.int)))
  })
}))

unpaired <- unlist(lapply(list(c(1, 2), c(3, 4), c(4, 5), c(5, 6), c(7, 6)), function(pair) {
  x <- samples[[pair[1]]]
  y <- samples[[pair[2]]] + 0.03
  lapply(levels[2 / choose(length(x) + length(y), length(x)) <= levels], function(level) {
    test <- wilcox.test(x, y, exact = TRUE, conf.int = TRUE, conf.level = 1 - level)
    record(field("values", number(x)), field("others", number(y)), field("level", sprintf("%.17g", level)),
      field("p", sprintf("%.17g", test$p.value)), field("estimate", sprintf("%.17g", test$estimate)),
      field("interval", number(test$conf.int)))
  })
}))

student <- unlist(lapply(samples, function(x) {
  lapply(levels, function(level) {
    record(field("values", number(x)), field("level", sprintf("%.17g", level)),
      field("interval", number(t.test(x, conf.level = 1 - level)$conf.int)))
  })
}))

holm <- lapply(list(c(0.01, 0.04, 0.03, 0.005), c(0.2, 0.01, 0.02), c(0.0001, 0.9, 0.012, 0.03, 0.011)), function(p) {
  record(field("p", number(p)), field("adjusted", number(p.adjust(p, "holm"))))
})

shares <- lapply(list(c(0, 200), c(10, 200), c(199, 200), c(200, 200), c(3, 7)), function(x) {
  record(field("happened", x[1]), field("all", x[2]), field("interval", number(binom.test(x[1], x[2])$conf.int)))
})

cat(record(field("paired", list_of(paired)), field("unpaired", list_of(unpaired)), field("student", list_of(student)),
  field("holm", list_of(holm)), field("shares", list_of(shares))), "\n", sep = "")
