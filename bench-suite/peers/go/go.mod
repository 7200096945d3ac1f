module lab/peer

go 1.22
