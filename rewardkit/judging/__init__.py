"""What a reward that asks a server is made of: the request, what is put into it, what is read out of it."""
