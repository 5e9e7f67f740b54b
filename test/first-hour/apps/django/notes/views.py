from django.http import HttpResponse

from .models import Note
from .version import VERSION


def page(request):
    return HttpResponse(f"version {VERSION}, {Note.objects.count()} notes\n")
